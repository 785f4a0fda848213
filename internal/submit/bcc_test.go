package submit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/message"
	"paperpath/internal/spool"
)

// TestHiddenCopiesOnce: a host copies a message once, however often it comes by, so two hosts
// that copy to each other stop.
func TestHiddenCopiesOnce(t *testing.T) {
	home := t.TempDir()
	for name, text := range map[string]string{"hostname": "mx.example.net\n", "domains": "example.net\n", "always-bcc": "tap@far.example\n"} {
		if err := os.MkdirAll(filepath.Join(home, "control"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(home, "control", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := control.Open(home, func() time.Time { return time.Now().Add(time.Hour) })
	for header, want := range map[string]int{
		"Subject: x\n": 2,
		"Received: from a by far.example with ESMTP id 1;\n\tSat, 28 Nov 2026 19:00:00 +0000\n":                                                               2,
		"Received: from mx.example.net (mx.example.net [192.0.2.1])\n\tby far.example with ESMTP id 1; Sat, 28 Nov 2026 19:00:00 +0000\n":                     2,
		"Received: by far.example; Sat, 28 Nov 2026 19:00:00 +0000\nReceived: from a\n\tby MX.example.net with ESMTP id 1; Sat, 28 Nov 2026 19:00:00 +0000\n": 1,
		"Received: by mx.example.net; Sat, 28 Nov 2026 19:00:00 +0000\n":                                                                                      1,
		"Delivered-To: tap@far.example\nSubject: x\n":                                                                                                         1,
	} {
		h, err := message.Read(strings.NewReader(header+"\nx\n"), 1<<16, 100)
		if err != nil {
			t.Fatal(err)
		}
		env := spool.Envelope{From: spool.Path{Addr: "s@s.example"}, To: []spool.Recipient{{Addr: "alice@example.net"}}}
		if env, err = withCopies(c, env, h); err != nil || len(env.To) != want {
			t.Errorf("%q: %v, %v, want %d", header, env.To, err, want)
		}
	}
}
