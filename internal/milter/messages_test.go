package milter

import (
	"strings"
	"testing"
)

// A session goes on after a message; what was decided about one holds for that alone.
func TestSeveralMessages(t *testing.T) {
	m := (&scripted{answers: map[byte][]byte{'M': packet('d')}}).start(t)
	s := m.dial(t)
	for range 2 {
		if a, err := s.Sender(t.Context(), sender); err != nil || a.Kind != Discard {
			t.Fatal(a, err)
		}
		if a, err := s.Recipient(t.Context(), recipient); err != nil || a.Kind != Discard {
			t.Fatal(a, err)
		}
		if _, a, err := s.Message(t.Context(), textOf(t, mail)); err != nil || a.Kind != Discard {
			t.Fatal(a, err)
		}
	}
	if got := m.Saw(); len(got) != 2 {
		t.Errorf("%q", got)
	}
}

// What was decided about the session holds for all of it.
func TestWholeSession(t *testing.T) {
	start := func() *scripted { return (&scripted{answers: map[byte][]byte{'H': packet('a')}}).start(t) }
	if r := converse(t.Context(), t, start()); r.err != nil || r.answer.Kind != Accept {
		t.Fatal(r)
	}
	m := start() // another: the first one has perhaps not seen the end of its session yet
	s := m.dial(t)
	if a, err := s.Helo(t.Context(), greeting); err != nil || a.Kind != Accept {
		t.Fatal(a, err)
	}
	before := len(m.Saw())
	if a, err := s.Sender(t.Context(), sender); err != nil || a.Kind != Continue {
		t.Fatal(a, err)
	}
	if c, a, err := s.Message(t.Context(), textOf(t, mail)); err != nil || a.Kind != Continue || c.Text() {
		t.Fatal(a, err)
	}
	if got := m.Saw(); len(got) != before {
		t.Errorf("%q", got)
	}
}

// A message that comes to no end is aborted, and the next one begins anew.
func TestAbort(t *testing.T) {
	m := (&scripted{}).start(t)
	s := m.dial(t)
	for range 2 {
		if _, err := s.Sender(t.Context(), sender); err != nil {
			t.Fatal(err)
		}
		if err := s.Abort(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Abort(t.Context()); err != nil { // nothing to abort
		t.Fatal(err)
	}
	if _, _, err := s.Message(t.Context(), textOf(t, mail)); err != nil {
		t.Fatal(err)
	}
	s.Close()
	got := strings.Join(m.Saw()[:4], " ")
	if got != "M<a@example.org>|SIZE=100|BODY=8BITMIME| A M<a@example.org>|SIZE=100|BODY=8BITMIME| A" {
		t.Errorf("%q", got)
	}
}

// Refused recipients are counted, and do not end the message.
func TestRefusedRecipient(t *testing.T) {
	m := (&scripted{answers: map[byte][]byte{'R': packet('r')}}).start(t)
	s := m.begin(t)
	if a, err := s.Recipient(t.Context(), recipient); err != nil || a.Kind != Reject {
		t.Fatal(a, err)
	}
	m.Script(nil)
	if a, err := s.Recipient(t.Context(), recipient); err != nil || a.Kind != Continue {
		t.Fatal(a, err)
	}
	if _, a, err := s.Message(t.Context(), textOf(t, mail)); err != nil || a.Kind != Continue {
		t.Fatal(a, err)
	}
	if got := m.Macros('E'); !strings.Contains(got, "{nrcpts}|1|{nbadrcpts}|1|") {
		t.Error(got)
	}
}
