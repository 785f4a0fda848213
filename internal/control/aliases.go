package control

import (
	"errors"
	"strconv"
	"strings"
)

// Alias is a row of control/aliases.
type Alias struct {
	Targets []string // as written; one without a domain has got the alias's
	Where   string   // "control/aliases:3"
}

type aliasTable map[string]Alias

func aliasesFile() file[aliasTable] {
	return file[aliasTable]{name: "aliases", max: maxTable, parse: parseAliases}
}

// parseAliases reads the syntax of aliases(5): `name: target, target`, a line
// that begins with a blank goes on with the one before it.
func parseAliases(name string, data []byte) (aliasTable, error) {
	ls, err := lines(name, data)
	if err != nil {
		return nil, err
	}
	t, seen := aliasTable{}, map[string]int{}
	for i := 0; i < len(ls); {
		l, used, err := joinLines(name, ls[i:])
		if err != nil {
			return nil, err
		}
		i += used
		key, targets, err := parseAlias(l.text)
		if err != nil {
			return nil, fail(name, l.n, "%v", err)
		}
		if err := once(name, seen, key, l.n); err != nil {
			return nil, err
		}
		t[key] = Alias{Targets: targets, Where: where(name, l.n)}
	}
	return t, nil
}

// joinLines returns the first line with its continuation lines, and how many
// lines that were.
func joinLines(name string, ls []line) (line, int, error) {
	if strings.ContainsAny(ls[0].text[:1], " \t") {
		return line{}, 0, fail(name, ls[0].n, "the first line begins with a blank and continues nothing")
	}
	used, size := 1, len(ls[0].text)
	for used < len(ls) && strings.ContainsAny(ls[used].text[:1], " \t") {
		size += len(ls[used].text)
		used++
	}
	if size > maxLine {
		return line{}, 0, fail(name, ls[0].n, "the row is too long")
	}
	texts := make([]string, used)
	for i := range texts {
		texts[i] = ls[i].text
	}
	return line{ls[0].n, strings.Join(texts, "")}, used, nil
}

func parseAlias(text string) (key string, targets []string, err error) {
	parts, err := cutOutside(text, ':', 2)
	if err != nil {
		return "", nil, err
	}
	if len(parts) != 2 {
		return "", nil, errors.New("no colon (a row is `name: target, target`)")
	}
	if key, err = aliasKey(parts[0]); err != nil {
		return "", nil, err
	}
	words, err := cutOutside(parts[1], ',', -1)
	if err != nil {
		return "", nil, err
	}
	if last := len(words) - 1; last > 0 && words[last] == "" {
		words = words[:last] // a comma at the end of the list, as sendmail and Postfix take it
	}
	for _, w := range words {
		target, err := parseTarget(w)
		if err != nil {
			return "", nil, errors.New("target " + strconv.Quote(w) + " " + err.Error())
		}
		targets = append(targets, target)
	}
	return key, targets, nil
}

// aliasKey folds the left side: `user`, `user@domain`, either in quotes.
func aliasKey(s string) (string, error) {
	if inside, ok := unquoted(s); ok && !strings.Contains(inside, " ") {
		s = inside // quotes that quote nothing
	}
	err := checkLocal(s)
	if strings.Contains(s, "@") && s[0] != '"' || strings.Contains(s, "\"@") {
		err = CheckAddress(s)
	}
	if err == nil && s == "" {
		err = errors.New("is empty")
	}
	if err != nil {
		return "", errors.New("name " + strconv.Quote(s) + " " + err.Error())
	}
	return FoldAddress(s), nil
}

// parseTarget reads an address, with or without a domain. Whole addresses may
// stand in quotes, and a backslash before one, inside them or not, stays: it says
// that the mailbox is meant and no alias (sendmail's aliases(5)).
func parseTarget(s string) (string, error) {
	inside, quoted := unquoted(s)
	if quoted && (strings.HasPrefix(inside, `\`) || strings.Contains(inside, "@")) {
		s = inside
	}
	if quoted && strings.HasPrefix(s, `\`) {
		s = `\` + strings.TrimLeft(s, `\`)
	}
	return s, checkTarget(strings.TrimPrefix(s, `\`))
}

// unquoted returns what stands in the quotes around all of s; false where there
// are none, or where they hold quotes.
func unquoted(s string) (string, bool) {
	if len(s) <= 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return "", false
	}
	inside := s[1 : len(s)-1]
	return inside, !strings.Contains(inside, `"`)
}

// checkTarget refuses what is no address, with or without a domain.
func checkTarget(s string) error {
	bare := strings.TrimPrefix(s, "\"")
	switch {
	case s == "":
		return errors.New("is empty")
	case bare == "":
		return errors.New("is a single quote")
	case bare[0] == '|' || bare[0] == '/' || bare[0] == ':':
		return errors.New("is a program, a file or a list, which aliases cannot have yet")
	case strings.Contains(s, "@"):
		return CheckAddress(s)
	}
	return checkLocal(s)
}

// cutOutside cuts s at each sep that stands outside quotes, into n parts at
// most (-1: all), and trims the blanks around them.
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

// Alias returns what address stands for: the row `user@domain`, else the row
// `user`, which holds in every local domain. nil without an error says that
// there is no alias.
func (c *Control) Alias(address string) (*Alias, error) {
	key := FoldAddress(address)
	local, domain := Split(key)
	isLocal := domain == ""
	if !isLocal {
		var err error
		if _, isLocal, err = c.IsLocal(domain); err != nil {
			return nil, err
		}
	}
	return query(c, aliasesFile(), func(t aliasTable) (*Alias, bool) {
		a, ok := t[key]
		if !ok && isLocal {
			a, ok = t[local]
		}
		if !ok {
			return nil, false
		}
		return a.in(domain), true
	})
}

// in returns a copy whose bare targets have the domain.
func (a Alias) in(domain string) *Alias {
	targets := make([]string, len(a.Targets))
	for i, t := range a.Targets {
		targets[i] = t
		if _, has := Split(t); has == "" && domain != "" {
			targets[i] = t + "@" + domain
		}
	}
	return &Alias{Targets: targets, Where: a.Where}
}
