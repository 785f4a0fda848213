package authres

import (
	"slices"
	"strings"
	"testing"
)

func TestProved(t *testing.T) {
	found := []Method{
		{Name: "spf", Result: "pass", Properties: []Property{Mailbox("smtp.mailfrom", "a@x.example")}},
		{Name: "spf", Result: "pass", Properties: []Property{Domain("smtp.helo", "Helo.Example")}},
		{Name: "spf", Result: "fail", Properties: []Property{Domain("smtp.mailfrom", "no.example")}},
		{Name: "spf", Result: "temperror", Properties: []Property{Mailbox("smtp.mailfrom", "a@later.example")}},
		{Name: "dkim", Result: "pass", Properties: []Property{Domain("header.d", "d.example"), Mailbox("header.i", "@i.d.example")}},
		{Name: "dkim", Result: "pass", Properties: []Property{Domain("header.d", "x.example")}},
		{Name: "dkim", Result: "neutral", Properties: []Property{Domain("header.d", "no.example")}},
		{Name: "dkim", Result: "temperror", Properties: []Property{Domain("header.d", "key.example")}},
		{Name: "dmarc", Result: "pass", Properties: []Property{Domain("header.d", "no.example")}},
		{Name: "iprev", Result: "pass", Properties: []Property{Domain("smtp.helo", "no.example")}},
	}
	for _, c := range []struct {
		name string
		of   func([]Method) []string
		want string
	}{
		{"Proved", Proved, "x.example helo.example d.example"},
		{"ProvedPath", ProvedPath, "x.example d.example"},
		{"Unknown", Unknown, "later.example key.example"},
	} {
		if got := c.of(found); !slices.Equal(got, strings.Fields(c.want)) {
			t.Errorf("%s: %v, want %s", c.name, got, c.want)
		}
	}
}

func TestProperties(t *testing.T) {
	label := strings.Repeat("a", 50) + "."
	longest := strings.Repeat(label, 4) + strings.Repeat("b", 51) // 255 octets
	m := Method{Properties: []Property{Domain("header.d", longest), Domain("header.s", longest+"a"), Domain("x.a", "a b"), Mailbox("x.b", "a@b@x.example"),
		Mailbox("x.c", "@x.example")}}
	for name, want := range map[string]string{"header.d": longest, "header.s": "", "x.a": "", "x.b": "x.example", "x.c": "@x.example", "y": ""} {
		if got := m.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

// Only our own method says what is junk.
func TestJunk(t *testing.T) {
	for result, want := range map[string]bool{"mx; spf=junk": false, "mx; x-paperpath=tag reason=spf": false, "mx; none": false,
		"mx; x-paperpath=tag reason=a; x-paperpath=junk reason=b": true} {
		f, err := Parse(result)
		if reason, junk := f.Junk(); err != nil || junk != want || junk && reason != "b" {
			t.Errorf("%q: %v %q, %v", result, junk, reason, err)
		}
	}
}
