package control

import (
	"fmt"
	"testing"

	"paperpath/internal/addr"
)

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
