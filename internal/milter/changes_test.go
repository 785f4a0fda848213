package milter

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"paperpath/internal/message"
)

// Every change, and where what is added stands.
func TestEveryChange(t *testing.T) {
	add := func(name, value string) []byte { return packet('h', name, "\x00", value, "\x00") }
	insert := func(n uint32, name string) []byte { return numbered('i', n, name, "v") }
	change := func(n uint32, name, value string) []byte { return numbered('m', n, name, value) }
	const body = "\nHello\n.\n"
	for _, c := range []struct {
		name    string
		changes []byte
		want    string
	}{
		{"none", nil, mail},
		{"add", packets(add("B", "1"), add("C", "2")), "B: 1\nC: 2\n" + mail},
		{"insert at the top", packets(insert(0, "B"), insert(0, "C"), insert(1, "D")), "D: v\nC: v\nB: v\n" + mail},
		{"insert further down", packets(add("B", "1"), insert(2, "C"), insert(2, "D"), insert(99, "E")),
			"B: 1\nD: v\nC: v\nE: v\n" + mail},
		{"change", change(1, "SUBJECT", "new"), "SUBJECT: new\nX-A: 1\nx-a:2\n" + body},
		{"change the second", change(2, "X-A", "new"), "Subject:  two\n words\nX-A: 1\nX-A: new\n" + body},
		{"remove", change(1, "subject", ""), "X-A: 1\nx-a:2\n" + body},
		{"remove both: the numbers are those of the message as sent", packets(change(1, "X-A", ""), change(2, "X-A", "")),
			"Subject:  two\n words\n" + body},
		{"remove both, downwards", packets(change(2, "X-A", ""), change(1, "X-A", "")), "Subject:  two\n words\n" + body},
		{"the last change of a field holds", packets(change(1, "X-A", "7"), change(1, "X-A", "8")),
			"Subject:  two\n words\nX-A: 8\nx-a:2\n" + body},
		{"what was added is not counted", packets(add("X-A", "0"), change(1, "X-A", "9")),
			"X-A: 0\nSubject:  two\n words\nX-A: 9\nx-a:2\n" + body},
		{"change what is not there", change(3, "X-A", "new"), "X-A: new\n" + mail},
		{"remove what is not there", change(3, "X-A", ""), mail},
		{"number 0", change(0, "X-A", "new"), "Subject:  two\n words\nX-A: new\nx-a:2\n" + body},
		{"folded", add("B", "1\n 2\n\t3\r\n 4"), "B: 1\n 2\n\t3\n 4\n" + mail},
		{"not folded", add("B", "1\nBcc: x\n\nbody"), "B: 1\n\tBcc: x\n\tbody\n" + mail},
		{"control characters", add("B", "1\r2\x1b\x7f\t3 \n"), "B: 1 2  \t3\n" + mail},
		{"8 bits", add("B", "\xc3\xa9\xff"), "B: \xc3\xa9\xff\n" + mail},
		{"no value", add("B", ""), "B: \n" + mail},
		{"bad names", packets(add("B C", "1"), add("B:C", "1"), add("", "1"), add("B\n", "1"), add("\xc3\xa9", "1")), mail},
		{"a new body", packets(packet('b', "new\r\nbo"), packet('b', "dy\r"), packet('b', "\nend\rx\x00y")),
			strings.TrimSuffix(mail, "Hello\n.\n") + "new\nbody\nend x y"},
		{"a body of nothing", packet('b'), strings.TrimSuffix(mail, "Hello\n.\n")},
		{"a CR at the end", packet('b', "x\r"), strings.TrimSuffix(mail, "Hello\n.\n") + "x "},
		{"body and header", packets(packet('b', "new\n"), change(1, "Subject", ""), add("B", "1")), "B: 1\nX-A: 1\nx-a:2\n\nnew\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := (&scripted{answers: map[byte][]byte{'E': packets(c.changes, packet('p'), packet('c'))}}).start(t)
			r := converse(t.Context(), t, m)
			if r.err != nil || r.answer.Kind != Continue {
				t.Fatalf("%+v", r)
			}
			got, err := r.changes.Apply(textOf(t, mail))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, read(t, got)); diff != "" {
				t.Error(diff)
			}
			if r.changes.Text() != (c.want != mail) {
				t.Error("Text is wrong")
			}
		})
	}
}

// The envelope, quarantine, and what is not done.
func TestEnvelopeChanges(t *testing.T) {
	m := (&scripted{answers: map[byte][]byte{'E': packets(
		packet('+', "<c@example.net>\x00"), packet('+', "d@example.net"), packet('-', "<b@example.net>\x00"),
		packet('+', "<nobody>\x00"), packet('+', "<>\x00"), packet('+', "<a b\n@x>\x00"),
		packet('e', "<new@example.org>\x00SIZE=3\x00"), packet('q', "virus\x1b found\x00"), packet('c'))}}).start(t)
	r := converse(t.Context(), t, m)
	if r.err != nil {
		t.Fatal(r.err)
	}
	got := fmt.Sprintf("%v %v %v %s %v %v", r.changes.From, r.changes.Recipients, r.changes.Held, r.changes.Reason,
		r.changes.Text(), r.changes.Ignored)
	want := "new@example.org [{true c@example.net} {true d@example.net} {false b@example.net}] true virus\\x1b found false " +
		"[recipient <nobody> recipient <> recipient <a b @x> parameters of the new sender: SIZE=3]"
	if got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	m = (&scripted{answers: map[byte][]byte{'E': packets(packet('e', "<>\x00"), packet('c'))}}).start(t)
	if r := converse(t.Context(), t, m); r.err != nil || r.changes.From == nil || !r.changes.From.IsNull() {
		t.Errorf("%+v", r)
	}
}

// What is added and what is changed is said, so that it can count as junk; what is removed or
// does not become a field is not.
func TestFieldsAreSaid(t *testing.T) {
	m := (&scripted{answers: map[byte][]byte{'E': packets(packet('h', "A\x00 1\n 2\x00"), numbered('m', 1, "X-A", "3"),
		numbered('m', 2, "X-A", ""), numbered('m', 9, "X-B", "4"), numbered('m', 9, "X-C", ""), packet('h', "D:\x005\x00"), packet('c'))}}).start(t)
	r := converse(t.Context(), t, m)
	if r.err != nil {
		t.Fatal(r.err)
	}
	if got := fmt.Sprint(r.changes.Fields); got != "[{A 1 2} {X-A 3} {X-B 4}]" {
		t.Error(got)
	}
}

// Whoever refuses changes nothing, and leaves no file open.
func TestNoChangesWithARefusal(t *testing.T) {
	for _, verdict := range []byte{'r', 't', 'd'} {
		kept := &memory{}
		m := (&scripted{answers: map[byte][]byte{'E': packets(packet('h', "A\x00b\x00"), packet('b', "x"), packet(verdict))}}).start(t)
		m.filter.Scratch = func() Scratch { return kept }
		r := converse(t.Context(), t, m)
		if r.err != nil || r.changes.Text() || !kept.closed {
			t.Errorf("%c: %+v, closed %v", verdict, r, kept.closed)
		}
	}
}

// Our own fields are shown above the message, and stay as they are.
func TestOursAreShown(t *testing.T) {
	m := (&scripted{answers: map[byte][]byte{'E': packets(numbered('m', 1, "Authentication-Results", ""),
		numbered('m', 2, "Authentication-Results", ""), numbered('i', 1, "A", "1"), numbered('i', 2, "B", "2"), packet('c'))}}).start(t)
	s, err := Dial(t.Context(), m.filter)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Sender(t.Context(), sender); err != nil {
		t.Fatal(err)
	}
	text := textOf(t, "Authentication-Results: other; none\n"+mail)
	text.Ours = []string{"Authentication-Results: mx.example.net;\n spf=pass\n"}
	c, a, err := s.Message(t.Context(), text)
	if err != nil || a.Kind != Continue {
		t.Fatal(a, err)
	}
	if got := m.Saw()[1]; got != "LAuthentication-Results|mx.example.net;\n spf=pass|" {
		t.Errorf("%q", got)
	}
	got, err := c.Apply(text)
	if err != nil || read(t, got) != "B: 2\nA: 1\n"+mail {
		t.Errorf("%v %q", err, read(t, got))
	}
	if fmt.Sprint(c.Ignored) != "[change of our own field Authentication-Results]" {
		t.Errorf("%q", c.Ignored)
	}
}

// Messages of odd shape keep their octets, and what stands above them does not swallow
// their first line.
func TestOddShapes(t *testing.T) {
	for in, want := range map[string][2]string{ // with a field, with a body
		"":                              {"A: b\n", "A: b\n\nnew\n"},
		"\n":                            {"A: b\n\n", "A: b\n\nnew\n"},
		"X: 1\n":                        {"A: b\nX: 1\n", "A: b\nX: 1\n\nnew\n"},
		"X: 1":                          {"A: b\nX: 1", "A: b\nX: 1\nnew\n"},
		"\nbody\n":                      {"A: b\n\nbody\n", "A: b\n\nnew\n"},
		"no header\n":                   {"A: b\n\nno header\n", "A: b\n\nnew\n"},
		" folds\nX: 1\n\nbody\n":        {"A: b\n\n folds\nX: 1\n\nbody\n", "A: b\n\nnew\n"},
		"From a@b now\nX: 1\n\nbody\n":  {"A: b\nX-Mailbox-Line: From a@b now\nX: 1\n\nbody\n", "A: b\nX-Mailbox-Line: From a@b now\nX: 1\n\nnew\n"},
		"From a@b now\nno header\n":     {"A: b\nX-Mailbox-Line: From a@b now\n\nno header\n", "A: b\n\nnew\n"},
		"X: 1\njunk line\nY: 2\n\nb\n":  {"A: b\nX: 1\njunk line\nY: 2\n\nb\n", "A: b\nX: 1\njunk line\nY: 2\n\nnew\n"},
		"X: 1\r\n 2\r\nY: 2\r\n\r\nb\n": {"A: b\nX: 1\r\n 2\r\nY: 2\r\n\r\nb\n", "A: b\nX: 1\r\n 2\r\nY: 2\r\n\r\nnew\n"},
	} {
		for i, b := range []*memory{nil, {}} {
			c := &Changes{top: []string{"A: b\n"}}
			if b != nil {
				b.WriteString("new\n")
				c.body = b
			}
			got, err := c.Apply(textOf(t, in))
			if err != nil || read(t, got) != want[i] {
				t.Errorf("%q: %v %q, want %q", in, err, read(t, got), want[i])
			}
		}
	}
}

// A body beyond the limit, and more changes than anybody needs, are no answer.
func TestChangesAreBounded(t *testing.T) {
	big := strings.Repeat("x", 60000)
	for name, c := range map[string]struct {
		packets []byte
		want    string
	}{
		"body":   {[]byte(strings.Repeat(string(packet('b', big)), 20)), "the new body is longer than 1048576 octets"},
		"fields": {[]byte(strings.Repeat(string(packet('h', "A\x00", big, "\x00")), 40)), "in this answer"},
		"count":  {[]byte(strings.Repeat(string(packet('p')), maxPackets+1)), "the 20001th of an answer"},
	} {
		m := (&scripted{answers: map[byte][]byte{'E': packets(c.packets, packet('c'))}}).start(t)
		if r := converse(t.Context(), t, m); r.err == nil || !strings.Contains(r.err.Error(), c.want) {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// FuzzAnswers: whatever a milter sends, there is an answer or an error, no change breaks
// the header, and what is not changed keeps its octets.
func FuzzAnswers(f *testing.F) {
	f.Add(packets(packet('h', "A\x00b\x00"), packet('b', "x\r\n"), packet('c')), mail)
	f.Add(packets(numbered('m', 1, "X-A", "1\n2\n\n3"), numbered('i', 0, "B", "\r\n\r\nbody"), packet('a')), mail)
	f.Add(packets(packet('e', "<>\x00"), packet('+', "<a@b>\x00"), packet('q', "why\x00"), packet('y', "550 5.7.1 a\r\n550-b\x00")), "")
	f.Add(packets(packet('b'), packet('p'), packet('c')), "From x y\nno header")
	f.Add([]byte("\x00\x00\x00\x01"), "A: b\n\nc")
	f.Fuzz(func(t *testing.T, answer []byte, in string) {
		if strings.ContainsRune(in, 0) {
			t.Skip()
		}
		text := textOf(t, in)
		changes, a, err := offline(t, text, answer)
		t.Cleanup(func() { changes.Close() })
		if err != nil || a.Err() != nil {
			if changes.Text() {
				t.Fatal("changes without a verdict")
			}
			return
		}
		body, err := changes.Apply(text)
		if err != nil {
			t.Fatal(err)
		}
		out := read(t, body)
		if !changes.Text() && out != in {
			t.Fatalf("changed to %q", out)
		}
		for i, field := range changes.top {
			h, err := message.Read(strings.NewReader(field), 1<<20, 10)
			if err != nil || len(h.Fields) != 1 || h.Junk > 0 || h.Blank || h.NUL || h.CR || !strings.HasSuffix(field, "\n") {
				t.Fatalf("field %d: %q: %+v %v", i, field, h, err)
			}
		}
		if top := strings.Join(changes.top, ""); !strings.HasPrefix(out, top) {
			t.Fatalf("%q does not begin with %q", out, top)
		} else if !changes.NewBody() && len(changes.edits) == 0 && !strings.HasSuffix(out, strings.TrimPrefix(in, "From ")) {
			t.Fatalf("%q does not end with %q", out, in)
		}
	})
}
