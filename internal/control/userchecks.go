package control

import (
	"fmt"
	"strings"

	"paperpath/internal/addr"
)

// Wish is what the owner of a mailbox wants of a sender.
type Wish string

// The wishes.
const (
	Indifferent Wish = ""
	Allow       Wish = "allow" // is never junk
	Deny        Wish = "deny"  // is not wanted
)

// userRow is a row of control/user-checks.
type userRow struct {
	rules []userRule
	where string
}

type userRule struct {
	wish    Wish
	pattern string // folded: an address, "@domain" or "*"
}

func userChecksTable() table[userRow] {
	return table[userRow]{
		name: "user-checks", joined: true,
		askable: anyName,
		form:    "a row is `address: allow=SENDER deny=SENDER ...` or `@domain: ...`",
		key: func(text string) string {
			key := strings.Trim(text[:max(keyEnd(text), 0)], " \t")
			if checkUserKey(key) != nil {
				return ""
			}
			return addr.FoldAddress(key)
		},
		parse: parseUserChecks,
	}
}

func userChecksFile(c *Control) file[contents[userRow]] { return userChecksTable().file(c) }

// checkUserKey refuses anything but an address and `@domain`.
func checkUserKey(key string) error {
	if domain, whole := strings.CutPrefix(key, "@"); whole {
		return addr.CheckDomain(domain)
	}
	return addr.CheckAddress(key)
}

func parseUserChecks(where, text string) ([]entry[userRow], error) {
	key, value, err := keyAndValue(strings.Trim(text, " \t"))
	if err != nil {
		return nil, err
	}
	if err := checkUserKey(key); err != nil {
		return nil, fmt.Errorf("%q %w", key, err)
	}
	row := userRow{where: where}
	for _, word := range strings.Fields(value) {
		wish, pattern, is := strings.Cut(word, "=")
		if !is || wish != string(Allow) && wish != string(Deny) {
			return nil, fmt.Errorf("%q is neither allow=SENDER nor deny=SENDER", word)
		}
		if err := checkPattern(pattern); err != nil {
			return nil, fmt.Errorf("sender %q %w", pattern, err)
		}
		row.rules = append(row.rules, userRule{Wish(wish), addr.FoldAddress(atDomain(pattern))})
	}
	return []entry[userRow]{{addr.FoldAddress(key), row}}, nil
}

// matches returns how closely the pattern matches a folded address: not at all, as any, as
// one of a domain and of those below it, as the very address.
func (r userRule) matches(sender string) int {
	_, domain := addr.Split(sender)
	of, whole := strings.CutPrefix(r.pattern, "@")
	switch {
	case r.pattern == "*":
		return 1
	case whole && (domain == of || strings.HasSuffix(domain, "."+of)):
		return 1 + len(of)
	case r.pattern == sender:
		return 1 << 20
	}
	return 0
}

// wishOf is what the row says of the senders: the closest pattern decides, and of equally
// close ones allow.
func (r *userRow) wishOf(senders []string) (wish Wish) {
	best := 0
	for _, sender := range senders {
		if sender = addr.FoldAddress(sender); sender == "" {
			continue
		}
		for _, rule := range r.rules {
			if n := rule.matches(sender); n > best || n == best && n > 0 && rule.wish == Allow {
				best, wish = n, rule.wish
			}
		}
	}
	return wish
}

// HasUserChecks reports whether control/user-checks may have something about anybody.
func (c *Control) HasUserChecks() (bool, error) {
	return mayHave[userRow](c, userChecksFile(c))
}

// UserWish returns what a user wants of a message by these senders, and the row that says
// so: their own, else that of their domain. A broken row that may say more is a temporary
// error.
func (c *Control) UserWish(user string, senders []string) (wish Wish, where string, err error) {
	f := userChecksFile(c)
	_, domain := addr.Split(user)
	for _, key := range []string{user, "@" + domain} {
		row, _, err := find[userRow](c, f, addr.FoldAddress(key))
		if err != nil {
			return Indifferent, "", err
		}
		if row != nil {
			if wish := row.wishOf(senders); wish != Indifferent {
				return wish, row.where, nil
			}
		}
	}
	return Indifferent, "", hiddenIn[userRow](c, f)
}
