package control

import (
	"strings"
	"testing"

	"paperpath/internal/addr"
	"paperpath/internal/status"
)

// Which row decides, and what becomes of the address.
func TestRewrite(t *testing.T) {
	rows := "alice@old.example: Alice.Smith@example.org\n" +
		"bob@old.example: bob@old.example\n" +
		"@all.example: one@example.org\n" +
		"@old.example: @new.example\n" +
		"sender @.example.org: @example.org\n" +
		"sender root@.example.org: keep\n" +
		"@deep.example.org: @elsewhere.example\n" +
		"recipient @cellar.example: @attic.example\n" +
		"sender both@x.example: s@x.example\nboth@x.example: b@x.example\n" +
		"out root@box.local: me@provider.example\nout @box.local: @provider.example\n" +
		"\"a:b\"@x.example: ab@x.example\n" +
		"long@x.example: " + strings.Repeat("l", 60) + "@x.example\n"
	f := newFixture(t, map[string]string{"rewrite": rows, "delimiters": "+-\n"})
	for _, tt := range []struct {
		use      Use
		in, want string
	}{
		{AsSender, "alice@old.example", "Alice.Smith@example.org 1"},
		{AsSender, "ALICE@Old.Example", "Alice.Smith@example.org 1"},
		{AsRecipient, "alice+lists@old.example", "Alice.Smith+lists@example.org 1"},
		{AsRecipient, "alice-a+b@old.example", "Alice.Smith-a+b@example.org 1"},
		{AsSender, "bob@old.example", "same"}, // the row for itself is one to stop at
		{AsSender, "carol+x@old.example", "carol+x@new.example 4"},
		{AsSender, "carol+x@all.example", "one@example.org 3"},
		{AsSender, "carol@sub.old.example", "same"},
		{AsSender, "carol@a.b.example.org", "carol@example.org 5"},
		{AsSender, "carol@example.org", "same"},
		{AsRecipient, "carol@a.example.org", "same"},
		{AsSender, "root@a.example.org", "same"},
		{AsSender, "ROOT+cron@a.b.example.org", "same"},
		{AsSender, "carol@deep.example.org", "carol@elsewhere.example 7"},
		{AsSender, "carol@cellar.example", "same"},
		{AsRecipient, "carol@cellar.example", "carol@attic.example 8"},
		{AsSender, "both@x.example", "s@x.example 9"},
		{AsRecipient, "both@x.example", "b@x.example 10"},
		{Leaving, "both@x.example", "same"}, // rows without a use are not for what leaves
		{Leaving, "root@box.local", "me@provider.example 11"},
		{Leaving, "ann@box.local", "ann@provider.example 12"},
		{AsSender, "root@box.local", "same"},
		{AsSender, "\"a:b\"@x.example", "ab@x.example 13"},
		{AsRecipient, "long+" + strings.Repeat("x", 200) + "@x.example", strings.Repeat("l", 60) + "@x.example 14"},
		{AsSender, "\"alice@old.example\"@y.example", "same"},
	} {
		a, err := addr.Parse(tt.in)
		if err != nil {
			t.Fatal(err)
		}
		got := "same"
		to, err := f.Rewrite(tt.use, a)
		if to != nil {
			got = to.String() + " " + strings.TrimPrefix(to.Where, "control/rewrite:")
		}
		if got != tt.want || err != nil {
			t.Errorf("%s %s: %s, %v; want %s", tt.use, tt.in, got, err, tt.want)
		}
	}
	for _, a := range []addr.Address{{}, {Local: "postmaster"}} {
		if to, err := f.Rewrite(AsSender, a); to != nil || err != nil {
			t.Errorf("%q became %v, %v", a, to, err)
		}
	}
}

// A broken row delays the mail that it may be about, and no other.
func TestRewriteBroken(t *testing.T) {
	f := newFixture(t, map[string]string{"rewrite": "alice@x.example: a b@y.example\n@x.example: @y.example\n"})
	alice := addr.Address{Local: "alice", Domain: "x.example"}
	_, err := f.Rewrite(AsSender, alice)
	wantError(t, err, `control/rewrite:1: address "a b@y.example"`)
	if status.Exit(err) != status.TempFail {
		t.Error(err)
	}
	to, err := f.Rewrite(AsSender, addr.Address{Local: "bob", Domain: "x.example"})
	if err != nil || to == nil || to.String() != "bob@y.example" {
		t.Errorf("%v, %v", to, err)
	}
	for row, want := range map[string]string{
		"alice@x.example b@y.example": "no colon",
		"alice: b@y.example":          `"alice" has no @`,
		"anything a@x.example: b@y":   "is no pattern",
		"sender: b@y.example":         `"sender" has no @`,
		"@x_.-example: b@y":           "domain",
		"a@x.example: ":               "no address after",
		"a@x.example: @":              "domain",
		"a@x.example: b":              "an address, @domain or keep",
		"@.: b@y":                     "domain",
	} {
		f := newFixture(t, map[string]string{"rewrite": row + "\n"})
		faults, errs := f.Faults("rewrite")
		if len(faults) != 1 || len(errs) > 0 || !strings.Contains(faults[0].String(), want) {
			t.Errorf("%q: %v %v", row, faults, errs)
		}
	}
}

// mailctl check says where a second pass would replace an address once more.
func TestRewriteTwice(t *testing.T) {
	f := newFixture(t, map[string]string{"domains": "example.net\n", "users": "", "hostname": "mx.example.net\n",
		"rewrite": "a@x.example: b@x.example\nb@x.example: c@x.example\nc@x.example: c@x.example\n" +
			"sender @.y.example: @y.example\nsender @v.example: @u.example\nrecipient @u.example: @t.example\n"})
	var got []string
	for _, x := range f.Check().Findings {
		if x.File == "rewrite" {
			got = append(got, x.String())
		}
	}
	if len(got) != 1 || !strings.HasPrefix(got[0], `control/rewrite:1: what "a@x.example" gives would be replaced by control/rewrite:2`) {
		t.Errorf("%q", got)
	}
}
