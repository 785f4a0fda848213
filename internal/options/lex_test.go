package options

import (
	"slices"
	"strings"
	"testing"
)

// Options stand anywhere before "--", letters in bundles; of a letter the last value counts.
func TestLex(t *testing.T) {
	table := Table{Takes: map[string]Takes{"f": One, "t": Nothing, "o": Many, "q": One, "home": One}, Optional: "q"}
	for _, c := range []struct {
		in, f    string
		o        []string
		operands string
		wrong    bool
	}{
		{in: "-ti", wrong: true},
		{in: "a -tfme b", f: "me", operands: "a b"},
		{in: "-f one -ftwo", f: "two"},
		{in: "-oi -o em -q rest", o: []string{"i", "em"}, operands: "rest"},
		{in: "-t -- -f x", operands: "-f x"},
		{in: "- --home=/x --home /x", operands: "-"},
		{in: "--home=/x --home=/y", wrong: true},
		{in: "--home", wrong: true},
		{in: "-f", wrong: true},
		{in: "--f=x", wrong: true},
	} {
		l, err := table.Lex(strings.Fields(c.in))
		if c.wrong || err != nil {
			if c.wrong != (err != nil) {
				t.Errorf("%s: %v", c.in, err)
			}
			continue
		}
		if l.Last("f") != c.f || l.Has("f") != (c.f != "") || !slices.Equal(l.All("o"), c.o) || strings.Join(l.Operands, " ") != c.operands {
			t.Errorf("%s: %+v", c.in, l)
		}
	}
}
