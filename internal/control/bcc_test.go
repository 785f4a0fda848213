package control

import (
	"fmt"
	"testing"
	"time"

	"paperpath/internal/addr"
)

// A table that an editor has emptied, and goes on writing, does not mean that nobody wants
// anything.
func TestTablesThatAreBeingWritten(t *testing.T) {
	alice, _ := addr.Parse("alice@x.example")
	for name, c := range map[string]struct {
		row string
		ask func(c *Control) bool
	}{
		"sender-bcc": {"alice@x.example: one@x.example\n", func(c *Control) bool {
			list, err := c.Bcc(alice, nil)
			return err == nil && len(list) == 1
		}},
		"always-bcc": {"one@x.example\n", func(c *Control) bool {
			list, err := c.Bcc(alice, nil)
			return err == nil && len(list) == 1
		}},
		"sizes": {"alice@x.example: 1000\n", func(c *Control) bool {
			l, err := c.SizeLimit("x.example", "alice@x.example")
			return err == nil && l.Octets == 1000
		}},
		"user-checks": {"alice@x.example: deny=*\n", func(c *Control) bool {
			some, err := c.HasUserChecks()
			return err == nil && some
		}},
	} {
		f := newFixture(t, map[string]string{name: ""})
		f.clock = time.Now()
		f.awake = func() { f.write(name, c.row); f.awake = nil }
		if !c.ask(f.Control) {
			t.Errorf("%s: the row was not waited for", name)
		}
	}
}

func TestBcc(t *testing.T) {
	f := newFixture(t, map[string]string{"always-bcc": "all@x.example\n",
		"sender-bcc":    "alice@x.example: one@x.example two@far.example\n@y.example: three@x.example\n",
		"recipient-bcc": "bob@x.example: four@x.example\nodd@x.example: a b\n"})
	parse := func(s string) addr.Address { a, _ := addr.Parse(s); return a }
	for _, tt := range []struct{ from, to, want string }{
		{"", "x@z.example", "[all@x.example]"},
		{"Alice+a@X.example", "x@z.example", "[all@x.example one@x.example two@far.example]"},
		{"any@y.example", "bob+x@x.example", "[all@x.example three@x.example four@x.example]"},
		{"any@z.example", "ALL@x.example", "[]"},
		{"alice@x.example", "one@x.example", "[all@x.example two@far.example]"},
	} {
		got, err := f.Bcc(parse(tt.from), []addr.Address{parse(tt.to)})
		if fmt.Sprint(got) != tt.want || err != nil {
			t.Errorf("%s to %s: %v (%v), want %s", tt.from, tt.to, got, err, tt.want)
		}
	}
	if _, err := f.Bcc(addr.Address{}, []addr.Address{parse("odd@x.example")}); err == nil {
		t.Error("a broken row copies nothing in silence")
	}
	f.write("always-bcc", "a b\n")
	if _, err := f.Bcc(addr.Address{}, nil); err == nil {
		t.Error("a broken list copies nothing in silence")
	}
}
