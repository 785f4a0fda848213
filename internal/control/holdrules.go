package control

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"paperpath/internal/addr"
)

// HoldRule is a row of control/holdrules: which new mail a person looks at first.
type HoldRule struct {
	Text  string // for people, why; "": none
	Where string // "control/holdrules:2"

	from, to string // folded patterns; "": any
	larger   int64  // octets; 0: of any size
	line     int
}

// NewMail is what hold rules know of a message.
type NewMail struct {
	From string // the reverse path; "" is the null one
	To   []string
	Size int64
}

func holdRulesTable() table[HoldRule] {
	return table[HoldRule]{
		name: "holdrules", repeats: true,
		form: "a row is `from=PATTERN to=PATTERN larger=OCTETS: TEXT` with at least one of the three",
		key: func(text string) string {
			condition, _, _ := strings.Cut(text, ":")
			if (&HoldRule{}).parse(condition) != nil {
				return ""
			}
			return strings.Join(strings.Fields(condition), " ")
		},
		parse: parseHoldRule,
	}
}

func holdRulesFile(c *Control) file[contents[HoldRule]] { return holdRulesTable().file(c) }

func parseHoldRule(where, text string) ([]entry[HoldRule], error) {
	r := HoldRule{Where: where}
	if i := strings.LastIndexByte(where, ':'); i >= 0 {
		fmt.Sscanf(where[i+1:], "%d", &r.line)
	}
	condition, words, ok := strings.Cut(text, ":")
	if !ok {
		return nil, errors.New("no colon (a row is `from=PATTERN to=PATTERN larger=OCTETS: TEXT`)")
	}
	r.Text = strings.Trim(words, " \t")
	err := r.parse(condition)
	return []entry[HoldRule]{{strings.Join(strings.Fields(condition), " "), r}}, err
}

// parse reads what stands before the colon.
func (r *HoldRule) parse(condition string) error {
	seen := map[string]bool{}
	for _, word := range strings.Fields(condition) {
		name, value, is := strings.Cut(word, "=")
		if seen[name] {
			return fmt.Errorf("%s= is there twice", name)
		}
		seen[name] = true
		wrong := ""
		switch {
		case !is:
			return fmt.Errorf("%q is none of from=PATTERN, to=PATTERN, larger=OCTETS", word)
		case name == "from":
			r.from, wrong = holdPattern(value, true)
		case name == "to":
			r.to, wrong = holdPattern(value, false)
		case name == "larger":
			r.larger, wrong = number(value, 1)
		default:
			return fmt.Errorf("%q is none of from=, to=, larger=", name+"=")
		}
		if wrong != "" {
			return fmt.Errorf("%s: %q %s", name, value, wrong)
		}
	}
	if len(seen) == 0 {
		return errors.New("no condition before the colon (to=* is all mail)")
	}
	return nil
}

// holdPattern folds an address in which * stands for anything, @domain for every address of it
// and @.domain for those of the domains below; null allows <>.
func holdPattern(s string, null bool) (folded, wrong string) {
	switch {
	case null && s == "<>":
		return s, ""
	case s == "" || len(s) > 320:
		return "", "is no address or pattern"
	case !strings.ContainsAny(s, "@*"):
		return "", "has no @ (user@example.org, @example.org, @.example.org, or * for any part)"
	case strings.Count(s, "*") > 8:
		return "", "has more than 8 times *"
	}
	if domain, whole := strings.CutPrefix(s, "@"); whole {
		if domain == "" || domain == "." {
			return "", "has no domain"
		}
		if strings.HasPrefix(domain, ".") {
			domain = "*" + domain
		}
		s = "*@" + domain
	}
	return addr.FoldAddress(s), ""
}

// HoldRule returns the first rule that matches the mail, nil if there is none. The error is
// temporary: a row that cannot be read may hold it, for a day.
func (c *Control) HoldRule(m NewMail) (*HoldRule, error) {
	t, _, err := load(c, holdRulesFile(c))
	if err != nil {
		return nil, err
	}
	t = t.in()
	rows := t.list()
	i := slices.IndexFunc(rows, func(r HoldRule) bool { return r.matches(m) })
	for _, b := range t.broken {
		if b.Key == "" || i >= 0 && b.Line > rows[i].line {
			continue
		}
		r := HoldRule{}
		if r.parse(b.Key) == nil && r.matches(m) {
			return nil, c.temporary(rowError{b})
		}
	}
	if i >= 0 {
		return &rows[i], nil
	}
	return nil, c.hidden(t.hiding)
}

func (r *HoldRule) matches(m NewMail) bool {
	if r.larger > 0 && m.Size <= r.larger {
		return false
	}
	if r.from != "" {
		switch from := addr.FoldAddress(m.From); {
		case from == "":
			if r.from != "<>" && r.from != "*" {
				return false
			}
		case !glob(r.from, from):
			return false
		}
	}
	return r.to == "" ||
		slices.ContainsFunc(m.To, func(to string) bool { return glob(r.to, addr.FoldAddress(to)) })
}

// glob reports whether text is as the pattern says, where * is any octets or none. It takes
// time in proportion to the product of both lengths at most.
func glob(pattern, text string) bool {
	p, i, star, again := 0, 0, -1, 0
	for i < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, again = p, i
			p++
		case p < len(pattern) && pattern[p] == text[i]:
			p++
			i++
		case star >= 0: // the last * takes one more
			again++
			p, i = star+1, again
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
