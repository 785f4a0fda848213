package control

import (
	"fmt"
	"slices"
	"strings"

	"paperpath/internal/addr"
)

// senderRow is a row of control/senders.
type senderRow struct {
	patterns []string
	where    string
}

func sendersTable() table[senderRow] {
	return table[senderRow]{
		name:    "senders",
		askable: anyName,
		form:    "a row is `login: address ...` or `@domain: login ...`",
		key: func(text string) string {
			text = strings.TrimLeft(text, " \t")
			end := max(keyEnd(text), 0)
			return sendersKey(strings.TrimRight(text[:end], " \t"))
		},
		parse: parseSender,
		merge: func(r, more senderRow) senderRow {
			r.patterns = append(slices.Clip(r.patterns), more.patterns...)
			if !strings.HasSuffix(r.where, more.where) {
				r.where += ", " + more.where
			}
			return r
		},
	}
}

func sendersFile(c *Control) file[contents[senderRow]] { return sendersTable().file(c) }

// sendersKey folds the key of a row: a login, or the wildcard whose addresses the row
// gives away.
func sendersKey(key string) string {
	if wild, domain := wildcard(key); wild != "" {
		if domain != "" && addr.CheckDomain(domain) != nil {
			return ""
		}
		return addr.FoldAddress(wild)
	}
	if checkLogin(key) != nil {
		return ""
	}
	return addr.FoldAddress(key)
}

// checkLogin refuses what cannot be the name of a submitter.
func checkLogin(key string) error {
	if strings.ContainsAny(key, " \t") && addr.CheckAddress(key) != nil {
		return fmt.Errorf("login %q has a blank in it", key)
	}
	return nil
}

// parseSender parses `login: pattern ...` or `wildcard: login ...`.
func parseSender(where, text string) ([]entry[senderRow], error) {
	key, value, err := keyAndValue(strings.Trim(text, " \t"))
	if err != nil {
		return nil, err
	}
	if err := checkLogin(key); err != nil {
		return nil, err
	}
	wild, domain := wildcard(key)
	if domain != "" {
		if err := addr.CheckDomain(domain); err != nil {
			return nil, fmt.Errorf("%q %w", key, err)
		}
	}
	var entries []entry[senderRow]
	for _, word := range strings.Fields(value) {
		login, pattern, err := key, atDomain(word), checkPattern(word)
		if wild != "" {
			pattern = wild
			login, err = senderLogin(word, domain)
		}
		if err != nil {
			return nil, fmt.Errorf("sender %q %w", word, err)
		}
		entries = append(entries, entry[senderRow]{addr.FoldAddress(login), senderRow{[]string{pattern},
			where}})
	}
	return entries, nil
}

// wildcard returns the pattern, `*` or `@domain`, and its domain if a row's key is
// one; "" if the key is a login.
func wildcard(key string) (pattern, domain string) {
	if key == "*" {
		return key, ""
	}
	pattern = atDomain(key)
	if domain, ok := strings.CutPrefix(pattern, "@"); ok && domain != "" {
		return pattern, domain
	}
	return "", ""
}

// atDomain writes `*@domain` as `@domain`.
func atDomain(pattern string) string {
	if strings.HasPrefix(pattern, "*@") {
		return pattern[1:]
	}
	return pattern
}

// senderLogin parses who may use a wildcard: `local`, `local/USER` or a login. A
// login without a domain gets the domain of the wildcard.
func senderLogin(word, domain string) (string, error) {
	if word == "local" || strings.HasPrefix(word, "local/") {
		return word, nil
	}
	if domain != "" && !strings.Contains(word, "@") {
		word += "@" + domain
	}
	return word, addr.CheckAddress(word)
}

// checkPattern refuses anything but `*`, `@domain` and an address.
func checkPattern(p string) error {
	if p == "*" {
		return nil
	}
	if domain, ok := strings.CutPrefix(atDomain(p), "@"); ok {
		return addr.CheckDomain(domain)
	}
	return addr.CheckAddress(p)
}

// Senders returns the reverse paths and From addresses that the submitter login may
// use in addition to its own: addresses, `@domain` for a whole domain, `*` for any.
// The logins `local`, `local/USER` and `local/UID` are callers on this machine. nil
// patterns without an error mean that there is no readable row; a caller that then
// refuses an address, or uses another row, must ask SendersHidden.
func (c *Control) Senders(login string) (patterns []string, source string, err error) {
	r, _, err := find[senderRow](c, sendersFile(c), addr.FoldAddress(login))
	if r == nil || err != nil {
		return nil, "", err
	}
	return append([]string(nil), r.patterns...), r.where, nil
}

// SendersHidden returns a temporary error if a broken row of control/senders may say
// who may use an address of the domain: a row about the domain or about all
// addresses, or, for a day, one that cannot be read at all.
func (c *Control) SendersHidden(domain string) error {
	f := sendersFile(c)
	for _, key := range []string{"@" + addr.FoldDomain(domain), "*"} {
		if _, _, err := find[senderRow](c, f, key); err != nil {
			return err
		}
	}
	return hiddenIn[senderRow](c, f)
}
