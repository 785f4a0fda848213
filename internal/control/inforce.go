package control

import (
	"fmt"
	"slices"
	"strings"
)

// Value is a setting, or a row of one, that is in force.
type Value struct {
	Setting string // "databytes"
	Key     string // of a row: "hops" of limits
	Text    string // as in the file, or in words
	From    string // "control/limits:2", "default"
}

// fromDefault is the From of a value that is in no file.
const fromDefault = "default"

// maxShown is how many rows of a table Check prints.
const maxShown = 50

// inForce returns what is in force of a setting: the rows in its file, except those
// at fault, and the defaults of what they leave out.
func (c *Control) inForce(s Setting, found []Finding) []Value {
	bad, broken := map[int]bool{}, false
	for _, f := range found {
		if f.File != s.Name || f.Warning && !f.Dead {
			continue
		}
		if bad[f.Line] = true; f.Line == 0 || s.file != nil {
			return nil // nothing in the file is in force, and no default either
		}
		broken = broken || !f.Dead
	}
	if s.Form == Directory {
		return nil // its files are not ours to read
	}
	data, _, err := read(c.path(s.Name), maxTable)
	if err != nil {
		return s.defaults(nil)
	}
	var values []Value
	for _, l := range rowLines(data) {
		if bad[l.n] {
			continue
		}
		v := Value{Setting: s.Name, Text: l.text, From: where(s.Name, l.n)}
		if key, value, ok := strings.Cut(l.text, ":"); ok && s.Keys != nil {
			v.Key, v.Text = strings.TrimRight(key, " \t"), strings.TrimLeft(value, " \t")
		}
		values = append(values, v)
	}
	if n := len(values); n > maxShown || s.Counted && n > 0 {
		text := fmt.Sprintf("%d rows", n)
		if n == 1 {
			text = "1 row"
		}
		return []Value{{Setting: s.Name, Text: text, From: "control/" + s.Name}}
	}
	if broken && len(values) == 0 {
		return nil // a broken row was meant to say something other than the default
	}
	return append(values, s.defaults(values)...)
}

// defaults returns what is in force in addition to the values of a file; said is nil
// if there is no file.
func (s Setting) defaults(said []Value) (values []Value) {
	for _, k := range s.Keys {
		if !slices.ContainsFunc(said, func(v Value) bool { return v.Key == k.Name }) {
			values = append(values, Value{Setting: s.Name, Key: k.Name, Text: k.Default, From: fromDefault})
		}
	}
	if s.behind != nil {
		return s.behind(said)
	}
	switch {
	case s.Keys != nil || len(said) > 0:
		return values
	case s.Required:
		return []Value{{Setting: s.Name, Text: "none", From: "control/" + s.Name}}
	}
	return []Value{{Setting: s.Name, Text: s.Holds(), From: fromDefault}}
}

// rowLines returns the lines that begin a row, correct or not: no comments, and no
// lines that continue the one before them.
func rowLines(data []byte) (out []line) {
	n := 0
	for text := range strings.Lines(string(data)) {
		n++
		bare := strings.Trim(text, " \t\r\n")
		if bare == "" || bare[0] == '#' || len(out) > 0 && strings.ContainsAny(text[:1], " \t") {
			continue
		}
		out = append(out, line{n, bare})
	}
	return out
}
