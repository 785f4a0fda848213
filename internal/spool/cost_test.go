package spool

import (
	"strings"
	"testing"
)

// mostAcceptAllocations is for one message of 4 KiB, its file and its names.
const mostAcceptAllocations = 50

// acceptor returns a function that accepts a message of 4 KiB.
func acceptor(t testing.TB) func() error {
	t.Helper()
	home := t.TempDir()
	if err := Init(home); err != nil {
		t.Fatal(err)
	}
	s, err := Open(home, Options{Hostname: "mx.example.net"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	env := Envelope{From: Path{Addr: "alice@example.org"}, To: []Recipient{{Addr: "bob@example.net"}}}
	text := []byte("From: alice@example.org\nSubject: x\n\n" + strings.Repeat(strings.Repeat("x", 63)+"\n", 64))
	return func() error {
		_, err := s.Accept(InboxRoute, env, nil, Trace{By: "mx.example.net", With: WithLocal}, BytesBody(text))
		return err
	}
}

// TestAcceptAllocations bounds what accepting a message allocates, which no machine changes.
func TestAcceptAllocations(t *testing.T) {
	accept := acceptor(t)
	n := testing.AllocsPerRun(50, func() {
		if err := accept(); err != nil {
			t.Fatal(err)
		}
	})
	t.Logf("%.0f allocations", n)
	if n > mostAcceptAllocations {
		t.Errorf("a message takes %.0f allocations, more than %d", n, mostAcceptAllocations)
	}
}

func BenchmarkAccept(b *testing.B) {
	accept := acceptor(b)
	b.ReportAllocs()
	for b.Loop() {
		if err := accept(); err != nil {
			b.Fatal(err)
		}
	}
}
