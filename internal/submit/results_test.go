package submit

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paperpath/internal/check"
	"paperpath/internal/explain"
	"paperpath/internal/spool"
)

// The results of a check are in the entry, between the envelope and our Received.
func TestResultsAreStored(t *testing.T) {
	h, _ := newHome(t)
	s, err := newServer(h, MX)
	if err != nil {
		t.Fatal(err)
	}
	s.judge = func(checks *check.Session, ctx context.Context, sub check.Subject, trail *explain.Trail) check.Verdict {
		v := checks.Message(ctx, sub, trail)
		v.Results = append(v.Results, "Authentication-Results: mx.example.net; spf=pass\n")
		return v
	}
	talkTo(t, s, "EHLO peer.example", "250 ", "MAIL FROM:<x@far.example>", "250 ",
		"RCPT TO:<alice@example.net>", "250 ", "DATA", "354 ", testMessage, "250 ")
	text, err := os.ReadFile(filepath.Join(h.Dir, "spool/route/new", entries(t, h, spool.InboxRoute)[0].Name))
	if err != nil || !strings.Contains(string(text),
		"\nDelivered-To: alice@example.net\nAuthentication-Results: mx.example.net; spf=pass\nReceived: ") {
		t.Errorf("the entry is\n%s, %v", text, err)
	}
}
