package control

import (
	"errors"
	"fmt"
	"strings"

	"paperpath/internal/addr"
)

// MIMERule is a row of control/mime: what becomes of a message with a part of that kind.
type MIMERule struct {
	Key    string // as the row has it, folded: .exe, .tar.gz, application/x-msdownload, audio/*
	Action CheckAction
	Text   string // for people; "": none
	Where  string // "control/mime:2"
}

func mimeTable() table[MIMERule] {
	return table[MIMERule]{
		name: "mime",
		form: "a row is `.ending: action` or `type/subtype: action`, such as `.exe: refuse`",
		key: func(text string) string {
			key := addr.Fold(strings.Trim(text[:max(keyEnd(text), 0)], " \t"))
			if checkMIMEKey(key) != nil {
				return ""
			}
			return key
		},
		parse: func(where, text string) ([]entry[MIMERule], error) {
			r, err := parseMIMERule(where, text)
			return []entry[MIMERule]{{r.Key, r}}, err
		},
	}
}

func mimeFile(c *Control) file[contents[MIMERule]] { return mimeTable().file(c) }

// maxEnding is the longest ending that a row can have.
const maxEnding = 64

// checkMIMEKey allows an ending with its dot, a type, and a type with any subtype.
func checkMIMEKey(key string) error {
	kind, sub, isType := strings.Cut(key, "/")
	switch {
	case strings.HasPrefix(key, "*."):
		return fmt.Errorf("%q begins with * (write the ending alone: %s)", key, key[1:])
	case strings.HasPrefix(key, "."):
		if len(key) > 1 && len(key) <= maxEnding && strings.Trim(key[len(key)-1:], ". ") != "" &&
			!strings.ContainsAny(key, "/\\:*\"") {
			return nil
		}
	case isType && isToken(kind) && (sub == "*" || isToken(sub)):
		return nil
	}
	return fmt.Errorf("%q is neither an ending nor a type (.exe, application/x-msdownload, audio/*)", key)
}

// isToken reports whether s is a token of a type (RFC 2045 5.1).
func isToken(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`()<>@,;:\"/[]?=*`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

func parseMIMERule(where, text string) (MIMERule, error) {
	r := MIMERule{Where: where}
	key, value, err := keyAndValue(strings.Trim(text, " \t"))
	if err != nil {
		return r, err
	}
	r.Key = addr.Fold(key)
	if err := checkMIMEKey(r.Key); err != nil {
		return r, err
	}
	word, said, _ := strings.Cut(value, " ")
	r.Text = strings.Trim(said, " \t")
	if !addr.IsASCII(r.Text) {
		return r, errors.New("the text is not ASCII, so it cannot stand in an SMTP reply")
	}
	kind := checkKind{}
	r.Action, err = kind.action(word)
	if r.Action == CheckOff {
		err = errors.New("off is not an action here (accept)")
	}
	return r, err
}

// MIMEPolicy is control/mime as it is in force at one moment.
type MIMEPolicy struct {
	control *Control
	rows    contents[MIMERule]
}

// MIMEPolicy reads control/mime once. None says whether it has no rows at all.
func (c *Control) MIMEPolicy() (MIMEPolicy, error) {
	t, _, err := load(c, mimeFile(c))
	return MIMEPolicy{c, t.in()}, err
}

// None reports whether the policy has no rows, not even broken ones.
func (p MIMEPolicy) None() bool { return len(p.rows.list()) == 0 && len(p.rows.broken) == 0 }

// Name returns the rule for a file by the ending of its name, the longest that a row has;
// nil: there is none.
func (p MIMEPolicy) Name(name string) (*MIMERule, error) {
	for from := max(0, len(name)-maxEnding); ; {
		dot := strings.IndexByte(name[from:], '.')
		if dot < 0 {
			return nil, nil
		}
		from += dot
		if r, err := p.row(name[from:]); r != nil || err != nil {
			return r, err
		}
		from++
	}
}

// Type returns the rule for a type, else that for all its subtypes; nil: there is none.
func (p MIMEPolicy) Type(kind string) (*MIMERule, error) {
	if r, err := p.row(kind); r != nil || err != nil {
		return r, err
	}
	top, _, _ := strings.Cut(kind, "/")
	return p.row(top + "/*")
}

func (p MIMEPolicy) row(key string) (*MIMERule, error) {
	r, err := p.rows.row(key)
	return r, p.control.temporary(err)
}

// Hidden returns a temporary error if a row that cannot be read may be about what no other
// row is about, for a day.
func (p MIMEPolicy) Hidden() error { return p.control.hidden(p.rows.hiding) }
