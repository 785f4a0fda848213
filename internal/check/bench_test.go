package check

import (
	"context"
	"strings"
	"testing"

	"paperpath/internal/spool"
)

// What the checks of a small message of a user take: they wait for no DNS.
func BenchmarkUser(b *testing.B) {
	k := checkerOf(settings(b), nil)
	s := user
	s.Body = spool.BytesBody([]byte("From: alice@example.net\nTo: bob@x.example\nSubject: x\n" +
		"Date: Mon, 23 Nov 2026 12:00:00 +0000\nMessage-ID: <1@example.net>\n\n" + strings.Repeat("0123456789 hello\n", 230)))
	b.ReportAllocs()
	for b.Loop() {
		if v := k.Message(context.Background(), s, nil); !v.Passes() {
			b.Fatal(v)
		}
	}
}
