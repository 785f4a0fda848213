package control

import (
	"errors"
	"fmt"
	"strings"

	"paperpath/internal/addr"
)

// Use is what an address is that control/rewrite may replace.
type Use string

// The uses, as the rows name them. A row without a name is for senders and recipients.
const (
	AsSender    Use = "sender"    // the reverse path, From, Sender, Reply-To
	AsRecipient Use = "recipient" // a recipient, To, Cc
	Leaving     Use = "out"       // what other hosts see of a message of ours
)

// keeps is the value of a row that replaces nothing.
const keeps = "keep"

// rewriteRow is a row of control/rewrite.
type rewriteRow struct {
	to    addr.Address // the zero address: nothing is replaced; without a local part: only the domain
	where string
}

func rewriteTable() table[rewriteRow] {
	return table[rewriteRow]{
		name: "rewrite",
		form: "a row is `PATTERN: ADDRESS`, `PATTERN: @DOMAIN` or `PATTERN: keep`; before PATTERN there may be " +
			"sender, recipient or out",
		key: func(text string) string {
			key, err := rewriteKey(text[:max(rewriteKeyEnd(text), 0)])
			if err != nil {
				return ""
			}
			return key
		},
		parse:   parseRewrite,
		askable: anyName,
	}
}

func rewriteFile(c *Control) file[contents[rewriteRow]] { return rewriteTable().file(c) }

// rewriteKeyEnd is keyEnd for a local part that may be in quotes.
func rewriteKeyEnd(text string) int {
	before, _, ok := cutFirst(text, ':')
	if !ok {
		return -1
	}
	return len(before)
}

func parseRewrite(where, text string) ([]entry[rewriteRow], error) {
	end := rewriteKeyEnd(text)
	if end < 0 {
		return nil, errors.New("no colon (a row is `PATTERN: ADDRESS`)")
	}
	key, err := rewriteKey(text[:end])
	if err != nil {
		return nil, err
	}
	row := rewriteRow{where: where}
	switch value := strings.Trim(text[end+1:], " \t"); {
	case value == keeps:
	case value == "":
		return nil, fmt.Errorf("no address after %q", key+":")
	case strings.HasPrefix(value, "@"):
		err = addr.CheckDomain(value[1:])
		row.to.Domain = value[1:]
		if err != nil {
			err = fmt.Errorf("domain %q %w", value[1:], err)
		}
	default:
		if row.to, err = addr.Parse(value); err != nil {
			err = fmt.Errorf("%w (an address, @domain or keep)", err)
		}
	}
	return []entry[rewriteRow]{{key, row}}, err
}

// rewriteKey folds what stands before the colon: a use or none, and a pattern, which is
// user@domain, @domain, or either of them with .domain for all names below a domain.
func rewriteKey(s string) (string, error) {
	pattern, use := strings.Trim(s, " \t"), ""
	if i := strings.IndexAny(pattern, " \t"); i > 0 { // a local part in quotes may have blanks, too
		switch Use(pattern[:i]) {
		case AsSender, AsRecipient, Leaving:
			use, pattern = pattern[:i]+" ", strings.TrimLeft(pattern[i:], " \t")
		}
	}
	if pattern == "" || strings.ContainsAny(pattern, " \t") && pattern[0] != '"' {
		return "", fmt.Errorf("%q is no pattern (user@example.org, @example.org or @.example.org)",
			strings.Trim(s, " \t"))
	}
	at := strings.LastIndexByte(pattern, '@')
	if at < 0 {
		return "", fmt.Errorf("%q has no @ (user@example.org, @example.org or @.example.org)", pattern)
	}
	local, domain := pattern[:at], pattern[at+1:]
	bare, below := strings.CutPrefix(domain, ".")
	dot := ""
	if below {
		dot = "."
	}
	if err := addr.CheckDomain(bare); err != nil {
		return "", fmt.Errorf("domain %q %w", domain, err)
	}
	if local == "" {
		return use + "@" + dot + addr.FoldDomain(bare), nil
	}
	a, err := addr.Parse(local + "@" + bare)
	if err != nil {
		return "", err
	}
	return use + foldedLocal(a) + "@" + dot + addr.FoldDomain(bare), nil
}

// foldedLocal is the local part of a, with quotes if it needs them, as keys have it.
func foldedLocal(a addr.Address) string {
	return addr.Fold(addr.Address{Local: a.Local}.String())
}

// maxAbove is how many domains above that of an address are asked for.
const maxAbove = 10

// Rewritten is an address that control/rewrite replaces another with.
type Rewritten struct {
	addr.Address
	Where string // "control/rewrite:3"
}

// Rewrite returns what stands for a where it is used like that; nil: a itself. The first of
// these that has a row decides: a, each of its shorter names, these in the domains above that
// of a, the nearest first, then a's domain, and the domains above it; each time a row for the
// use before one for all. What a row gives is not looked up again. An error is temporary.
func (c *Control) Rewrite(use Use, a addr.Address) (*Rewritten, error) {
	f := rewriteFile(c)
	some, err := mayHave[rewriteRow](c, f)
	if err != nil || !some || a.Local == "" || a.Domain == "" {
		return nil, err
	}
	delimiters, err := c.Delimiters()
	if err != nil {
		return nil, err
	}
	keys, names := rewriteKeys(use, a, delimiters)
	row, at, err := find[rewriteRow](c, f, keys...)
	if err == nil && at > 0 {
		err = hiddenIn[rewriteRow](c, f)
	}
	if row == nil || err != nil || row.to.IsNull() {
		return nil, err
	}
	to := row.instead(a, names[at])
	if to.Key() == a.Key() {
		return nil, nil
	}
	return &Rewritten{to, row.where}, nil
}

// RewritesLeaving reports whether control/rewrite may have rows for what leaves, so that headers
// have to be read.
func (c *Control) RewritesLeaving() (bool, error) { return mayHave[rewriteRow](c, rewriteFile(c)) }

// instead is what a row gives for a. What follows name in the local part is an extension, which
// is kept; a row about a whole domain has no name.
func (r *rewriteRow) instead(a addr.Address, name string) addr.Address {
	to := r.to
	switch {
	case to.Local == "":
		to.Local = a.Local
	case name != "":
		to.Local += a.Local[len(name):]
	}
	if _, err := addr.Parse(to.String()); err != nil {
		return r.to // too long with it
	}
	return to
}

// rewriteKeys are the keys to ask for, and for each of them the local part that it has.
func rewriteKeys(use Use, a addr.Address, delimiters string) (keys, names []string) {
	put := func(local, name, domain string) {
		key := local + "@" + domain
		keys, names = append(keys, string(use)+" "+key), append(names, name)
		if use != Leaving {
			keys, names = append(keys, key), append(names, name)
		}
	}
	domains := domainKeys(a.Domain)
	domains = domains[:min(len(domains), 1+maxAbove)]
	forms := a.Names(delimiters)
	for _, form := range forms {
		put(foldedLocal(form), form.Local, domains[0])
	}
	for _, above := range domains[1:] {
		for _, form := range forms {
			put(foldedLocal(form), form.Local, above)
		}
	}
	for _, domain := range domains {
		put("", "", domain)
	}
	return keys, names
}

// checkRewrite warns of rows whose result another row would replace, if the mail were handed
// in once more: by a host that gives it back, or by a person.
func (c *Control) checkRewrite(r *Report) {
	t, _, err := load(c, rewriteFile(c))
	if err != nil {
		return
	}
	t.eachRow(func(key string, row rewriteRow) {
		again := replacedBy(t, key, row)
		if again == nil {
			return
		}
		line := 0
		fmt.Sscanf(row.where, "control/rewrite:%d", &line)
		r.warn("rewrite", line, fmt.Sprintf("what %q gives would be replaced by %s", key, again.where),
			"let both rows give the same address")
	})
}

// replacedBy returns the row that would replace what another row gives, nil if none would.
func replacedBy(t contents[rewriteRow], key string, row rewriteRow) *rewriteRow {
	to := row.to
	if to.Domain == "" {
		return nil
	}
	use, _, has := strings.Cut(key, " ")
	if !has {
		use = string(AsSender)
	}
	if to.Local == "" { // whatever it is: only rows for whole domains count
		to.Local = "any"
	}
	keys, names := rewriteKeys(Use(use), to, "")
	for i, k := range keys {
		again, err := t.in().row(k)
		if again == nil || err != nil {
			continue
		}
		if again.to.IsNull() || again.instead(to, names[i]).Key() == to.Key() {
			return nil
		}
		return again
	}
	return nil
}
