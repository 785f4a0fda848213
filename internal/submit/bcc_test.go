package submit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/message"
	"paperpath/internal/ratelimit"
	"paperpath/internal/spool"
)

// TestHiddenCopiesOnce: a host copies a message once, however often it comes by, so two hosts
// that copy to each other stop; but nothing that a stranger writes into a message keeps a copy
// from being made.
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
	const letter = "From: a@s.example\nMessage-ID: <1@s.example>\nSubject: x\n\nhello\n"
	for header, again := range map[string]bool{ // whether it says that it has been here
		"": false,
		"Received: from a by far.example with ESMTP id 1;\n\tSat, 28 Nov 2026 19:00:00 +0000\n":                                                               false,
		"Received: from mx.example.net (mx.example.net [192.0.2.1])\n\tby far.example with ESMTP id 1; Sat, 28 Nov 2026 19:00:00 +0000\n":                     false,
		"Received: by far.example; Sat, 28 Nov 2026 19:00:00 +0000\nReceived: from a\n\tby MX.example.net with ESMTP id 1; Sat, 28 Nov 2026 19:00:00 +0000\n": true,
		"Received: by mx.example.net; Sat, 28 Nov 2026 19:00:00 +0000\n":                                                                                      true,
		"Delivered-To: tap@far.example\n": true,
	} {
		table := ratelimit.Open(filepath.Join(t.TempDir(), "copied"))
		now := time.Now()
		tap := taps{c, table, func() time.Time { return now }}
		copied := func(about, text string, want bool) (noted func()) {
			t.Helper()
			h, err := message.Read(strings.NewReader(text), 1<<16, 100)
			if err != nil {
				t.Fatal(err)
			}
			env := spool.Envelope{From: spool.Path{Addr: "s@s.example"}, To: []spool.Recipient{{Addr: "alice@example.net"}}}
			env, noted, err = tap.withCopies(env, h, spool.BytesBody([]byte(text)))
			if got := len(env.To) == 2; err != nil || got != want {
				t.Errorf("%q, %s: %v, %v, want %v", header, about, env.To, err, want)
			}
			return noted
		}
		copied("whatever a stranger writes", header+letter, true)
		copied("again, if the first was not accepted", header+letter, true)()
		copied("that comes back", header+letter, !again)
		copied("that comes back by another host", "Received: by third.example; Sat, 28 Nov 2026 20:00:00 +0000\n"+header+letter, !again)
		copied("another body", header+strings.Replace(letter, "hello", "secret", 1), true)
		copied("another subject", header+strings.Replace(letter, "Subject: x", "Subject: y", 1), true)
		copied("the same shown as another type", header+"Content-Type: text/html\n"+letter, true)
		copied("a second subject below", header+strings.Replace(letter, "Subject: x", "Subject: x\nSubject: y", 1), true)
		now = now.Add(8 * 24 * time.Hour)
		copied("much later", header+letter, true)
		table.Close()
	}
}
