package message

import (
	"io"
	"strings"
	"testing"
)

// led is the message as it can stand below fields that are put above it.
func led(t *testing.T, in string) (out string, header bool) {
	t.Helper()
	edits, header, err := Leading(strings.NewReader(in), int64(len(in)))
	if err != nil {
		t.Fatal(err)
	}
	var p Pieces
	p.Edited(strings.NewReader(in), int64(len(in)), edits)
	b, err := io.ReadAll(io.NewSectionReader(&p, 0, p.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return string(b), header
}

func TestLeading(t *testing.T) {
	const box = "X-Mailbox-Line: "
	long, name := strings.Repeat("x", 5000), strings.Repeat("N", maxName)
	for _, c := range []struct {
		in, want string // + is a mailbox line's field name, ~ a blank line
		header   bool
	}{
		{"A: b\n\nc\n", "A: b\n\nc\n", true},
		{"", "", true},
		{"\nbody\n", "\nbody\n", true},
		{"\r\nbody\r\n", "\r\nbody\r\n", true},
		{"text\nA: b\n", "~text\nA: b\n", false},
		{" fold\nA: b\n", "~ fold\nA: b\n", false},
		{"From a Mon\nA: b\n", "+From a Mon\nA: b\n", true},
		{"From a: 12:00\nA: b\n", "+From a: 12:00\nA: b\n", true},
		{">From a Mon\nA: b\n", "+>From a Mon\nA: b\n", true},
		{"From a\n>From b\n>From c remote from d\nA: b\n\n>From e\n", "+From a\n+>From b\n+>From c remote from d\nA: b\n\n>From e\n", true},
		{"From a\nFrom b\n\nbody\n", "+From a\n+From b\n\nbody\n", true},
		{"From a\n>From b", "+From a\n+>From b", true},
		{"From a\ntext\nA: b\n", "+From a\n~text\nA: b\n", false},
		{"From a\n fold\n>From b\nA: b\n", "+From a\n fold\n+>From b\nA: b\n", true},
		{"From " + long + "\n>From " + long + "\nA: b\n", "+From " + long + "\n+>From " + long + "\nA: b\n", true},
		{"From : a\n>From: b\n", "From : a\n>From: b\n", true},
		{">>From a\nA: b\n", "~>>From a\nA: b\n", false},
		{"From\nA: b\n", "~From\nA: b\n", false},
		{name + ": y\n", name + ": y\n", true},
		{name + "N: y\n", "~" + name + "N: y\n", false},
		{name[1:] + " : y\n", name[1:] + " : y\n", true},
		{name + " : y\n", "~" + name + " : y\n", false},
		{strings.Repeat("From a\n", maxMailboxLines+1), strings.Repeat("+From a\n", maxMailboxLines) + "~From a\n", false},
	} {
		want := strings.NewReplacer("+", box, "~", "\n").Replace(c.want)
		got, header := led(t, c.in)
		if got != want || header != c.header {
			t.Errorf("%.60q became %.200q, %v, want %.200q", c.in, got, header, want)
		}
		if again, _ := led(t, got); again != got {
			t.Errorf("%.60q became %.200q, then %.200q", c.in, got, again)
		}
	}
}

// FuzzLeading: what it says of a header and what Read finds is the same, and
// below it nothing changes.
func FuzzLeading(f *testing.F) {
	for _, s := range []string{"From a\n>From b\nA: b\n\nc\n", "text\nA: b\n", " x\n", "From a\n x\nB : c\n", "A\x00: b\n", ">From a: b\r\n\r\n", "From \n :"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		out, header := led(t, in)
		came, err := Read(strings.NewReader(in), 1<<20, 1<<20)
		stands, err2 := Read(strings.NewReader("Received: x\n"+out), 1<<20, 1<<20)
		if err != nil || err2 != nil {
			return
		}
		if stands.Fields[0].Value != "x" {
			t.Fatalf("%q folds into what stands above it", out)
		}
		var rest []Field
		for _, f := range stands.Fields[1:] {
			if f.Name != "X-Mailbox-Line" {
				rest = append(rest, f)
			}
		}
		if !header && len(rest) > 0 {
			t.Fatalf("%q has no header, and then %+v", in, rest)
		}
		for i, f := range came.Fields {
			if f.Name == "X-Mailbox-Line" || !header {
				return
			}
			if i >= len(rest) || rest[i].Name != f.Name || rest[i].Value != f.Value {
				t.Fatalf("%q has the fields %+v, %q has %+v", in, came.Fields, out, stands.Fields)
			}
		}
	})
}
