package control

import (
	"errors"
	"strconv"
	"strings"

	"paperpath/internal/addr"
)

// Alias is a row of control/aliases: an alias, `@domain: ...` for all addresses of a
// domain that nothing else is for (the catch-all), or `@domain: @domain` (a domain alias).
type Alias struct {
	Name    string   // folded, with a domain or without; "@domain"
	Targets []string // as written; one without a domain gets the alias's
	Domain  string   // of a domain alias: where the same names are looked up
	Error   *Route   // the address is refused; it has no targets
	Where   string   // "control/aliases:3"
}

// String is the row's value, for people.
func (a *Alias) String() string {
	switch {
	case a.Error != nil:
		return a.Error.String()
	case a.Domain != "":
		return "@" + a.Domain
	}
	return strings.Join(a.Targets, ", ")
}

// aliasesTable has the syntax of aliases(5): `name: target, target`.
func aliasesTable() table[Alias] {
	return table[Alias]{
		name: "aliases", joined: true,
		form: "a row is `name: target, target`",
		key: func(text string) string {
			name, _, ok := cutFirst(text, ':')
			key, err := aliasKey(strings.Trim(name, " \t"))
			if !ok || err != nil {
				return ""
			}
			return key
		},
		askable: func(key string) bool { return key != "@" },
		parse: func(where, text string) ([]entry[Alias], error) {
			a, err := parseAlias(where, text)
			return []entry[Alias]{{a.Name, a}}, err
		},
	}
}

func aliasesFile(c *Control) file[contents[Alias]] { return aliasesTable().file(c) }

func parseAlias(where, text string) (a Alias, err error) {
	parts, err := cutOutside(text, ':', 2)
	if err != nil {
		return a, err
	}
	if len(parts) != 2 {
		return a, errors.New("no colon (a row is `name: target, target`)")
	}
	a = Alias{Where: where}
	if a.Name, err = aliasKey(parts[0]); err != nil {
		return a, err
	}
	switch {
	case strings.HasPrefix(parts[1], "@"):
		a.Domain, err = parseDomainAlias(a.Name, parts[1])
	case strings.HasPrefix(parts[1], "error:"):
		a.Error, err = ParseRoute(where, parts[1])
		if err == nil {
			a.Error.Key = a.Name
		}
	default:
		a.Targets, err = parseTargets(parts[1])
	}
	return a, err
}

// parseDomainAlias parses the value of `@domain: @domain`.
func parseDomainAlias(name, value string) (domain string, err error) {
	domain = value[1:]
	switch {
	case !strings.HasPrefix(name, "@"):
		return "", errors.New("only a whole domain can stand for another (`@example.org: " + value + "`)")
	case strings.Contains(domain, ","):
		return "", errors.New("a domain that stands for another has no other target")
	}
	if err := addr.CheckDomain(domain); err != nil {
		return "", errors.New("domain " + strconv.Quote(domain) + " " + err.Error())
	}
	if domain = addr.FoldDomain(domain); "@"+domain == name {
		return "", errors.New("the domain stands for itself")
	}
	return domain, nil
}

func parseTargets(value string) (targets []string, err error) {
	words, err := cutOutside(value, ',', -1)
	if err != nil {
		return nil, err
	}
	if last := len(words) - 1; last > 0 && words[last] == "" {
		words = words[:last] // a comma at the end of the list, which sendmail and Postfix accept too
	}
	for _, w := range words {
		target, err := parseTarget(w)
		if err != nil {
			return nil, errors.New("target " + strconv.Quote(w) + " " + err.Error())
		}
		targets = append(targets, target)
	}
	return targets, nil
}

// aliasKey folds the left side: `user`, `user@domain` or `@domain`, each of them
// optionally in quotes.
func aliasKey(s string) (string, error) {
	if inside, ok := unquoted(s); ok {
		if key, err := bareAliasKey(inside); err == nil {
			return key, nil // the quotes are not needed
		}
	}
	return bareAliasKey(s)
}

func bareAliasKey(s string) (string, error) {
	if domain, whole := strings.CutPrefix(s, "@"); whole && domain != "" {
		if err := addr.CheckDomain(domain); err != nil {
			return "", errors.New("domain " + strconv.Quote(domain) + " " + err.Error())
		}
		return "@" + addr.FoldDomain(domain), nil
	}
	err := addr.CheckLocal(s)
	if strings.Contains(s, "@") && s[0] != '"' || strings.Contains(s, "\"@") {
		err = addr.CheckAddress(s)
	}
	if err == nil && s == "" {
		err = errors.New("is empty")
	}
	if err != nil {
		return "", errors.New("name " + strconv.Quote(s) + " " + err.Error())
	}
	return addr.FoldAddress(s), nil
}

// unquoted returns what is inside the quotes around all of s; false if there are
// none, or if there are quotes inside them.
func unquoted(s string) (string, bool) {
	if len(s) <= 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return "", false
	}
	inside := s[1 : len(s)-1]
	return inside, !strings.Contains(inside, `"`)
}

// cutOutside cuts s at each sep outside quotes, into at most n parts (-1: all), and
// trims the blanks around them.
func cutOutside(s string, sep byte, n int) ([]string, error) {
	var parts []string
	quoted, from := false, 0
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == sep && !quoted && len(parts)+1 != n:
			parts = append(parts, strings.Trim(s[from:i], " \t"))
			from = i + 1
		}
	}
	if quoted {
		return nil, errors.New("a quote is not closed")
	}
	return append(parts, strings.Trim(s[from:], " \t")), nil
}

// cutFirst cuts s at the first sep outside quotes.
func cutFirst(s string, sep byte) (before, after string, ok bool) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == sep && !quoted:
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

// Alias returns what address expands to: the row `user@domain`, else the row `user`,
// which applies to every local domain. nil without an error means that there is no
// readable alias; a caller that goes on to a less specific name than address must ask
// AliasHidden.
func (c *Control) Alias(address string) (*Alias, error) {
	key := addr.FoldAddress(address)
	local, domain := addr.Split(key)
	isLocal := domain == ""
	if !isLocal {
		var err error
		if _, isLocal, err = c.IsLocal(domain); err != nil {
			return nil, err
		}
	}
	keys := []string{key}
	if isLocal && domain != "" {
		keys = append(keys, local)
	}
	a, _, err := find[Alias](c, aliasesFile(c), keys...)
	if a == nil || err != nil {
		return nil, err
	}
	return a.in(domain), nil
}

// DomainAlias returns the row `@domain`, for addresses of a local domain that nothing
// else is for; nil without an error means that there is none. A caller must have asked
// AliasHidden before.
func (c *Control) DomainAlias(domain string) (*Alias, error) {
	a, _, err := find[Alias](c, aliasesFile(c), "@"+addr.FoldDomain(domain))
	if a == nil || err != nil {
		return nil, err
	}
	return a.in(domain), nil
}

// AliasesNow returns all rows that are not broken, in the order of the file. It does
// not wait for the file to settle: it is for people, who may be editing it.
func (c *Control) AliasesNow() ([]Alias, error) {
	t, _, err := load(c, aliasesFile(c))
	if err != nil {
		return nil, err
	}
	return t.in().list(), nil
}

// AliasHidden returns a temporary error, for a day, if control/aliases has a row that
// cannot be read: that row may be for a name that Alias does not find.
func (c *Control) AliasHidden() error { return hiddenIn[Alias](c, aliasesFile(c)) }

// in returns a copy in which targets without a domain get this one.
func (a Alias) in(domain string) *Alias {
	targets := make([]string, len(a.Targets))
	for i, t := range a.Targets {
		targets[i] = t
		targets[i] = InDomain(t, domain)
	}
	a.Targets = targets
	return &a
}
