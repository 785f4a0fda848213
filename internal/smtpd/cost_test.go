package smtpd

import (
	"context"
	"io"
	"strings"
	"testing"
)

// mostAllocations is for one transaction of a kept session, without what the Session does.
const mostAllocations = 40

// forgetful is a Session that stores nothing.
type forgetful struct{ fake }

func (f *forgetful) Data(_ context.Context, r io.Reader) (string, error) {
	_, err := io.Copy(io.Discard, r)
	return "stored", err
}

// transact has a session of n messages of 4 KiB, each with a write for its commands and one for its text.
func transact(t testing.TB, n int) {
	t.Helper()
	text := []byte(strings.Repeat(strings.Repeat("x", 62)+"\r\n", 64) + ".\r\n")
	s := &script{pieces: [][]byte{[]byte("EHLO c.test\r\n")}}
	for range n {
		s.pieces = append(s.pieces, []byte("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\nDATA\r\n"), text)
	}
	s.pieces = append(s.pieces, []byte("QUIT\r\n"))
	if err := Serve(t.Context(), s, Config{Hostname: "mx.test"}, func(*Conn) Session { return &forgetful{} }); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(s.out.String(), "stored"); got != n {
		t.Fatalf("%d of %d messages\n%s", got, n, &s.out)
	}
}

// TestTransactionAllocations bounds what the engine allocates for a message, which no machine changes.
func TestTransactionAllocations(t *testing.T) {
	const n = 100
	each := (testing.AllocsPerRun(5, func() { transact(t, n) }) - testing.AllocsPerRun(5, func() { transact(t, 0) })) / n
	t.Logf("%.1f allocations", each)
	if each > mostAllocations || each < 1 {
		t.Errorf("a message takes %.1f allocations, more than %d", each, mostAllocations)
	}
}

func BenchmarkTransaction(b *testing.B) {
	b.ReportAllocs()
	transact(b, b.N)
}
