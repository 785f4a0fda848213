package submit

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/internal/dkim"
	"paperpath/internal/spool"
)

// published is the record of one key.
type published string

func (p published) TXT(context.Context, string) ([]string, error) { return []string{string(p)}, nil }

// What a check holds is there as it came: the reason names the check, and when a person has
// released it, its signature verifies.
func TestHeldAsItCame(t *testing.T) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	text := "From: Alice, who has no address\r\nSubject: signed\r\nAuthentication-Results: other.example; spf=pass\r\n\r\n" +
		"a line  with blanks \r\n.\r\n\r\n\r\n"
	key := dkim.Key{Domain: "far.example", Selector: "s", Signer: private}
	signed, err := dkim.Sign(strings.NewReader(text), []dkim.Key{key}, time.Now())
	if err != nil || signed.Fields == "" {
		t.Fatal(signed, err)
	}
	h, log := newHome(t)
	if err := os.WriteFile(filepath.Join(h.Dir, "control/checks"), []byte("from: hold\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	wire := strings.ReplaceAll(signed.Fields+text, "\r\n", "\n")
	wire = strings.ReplaceAll(wire, "\n.\n", "\n..\n") + "."
	talk(t, h, MX, "EHLO peer.example", "250 ", "MAIL FROM:<x@far.example>", "250 ",
		"RCPT TO:<alice@example.net>", "250 ", "DATA", "354 ", wire, "250 ")
	held := entries(t, h, spool.InboxHold)
	if len(held) != 1 || !strings.Contains(held[0].LastReason, "from: ") {
		t.Fatalf("held: %+v\n%s", held, log)
	}
	sp, err := h.Spool()
	if err != nil {
		t.Fatal(err)
	}
	e, err := sp.Find(held[0].Key)
	if err != nil {
		t.Fatal(err)
	}
	if err := sp.Release(e); err != nil {
		t.Fatal(err)
	}
	e.Close()
	if e, err = sp.Find(held[0].Key); err != nil || e.Inbox != spool.InboxRoute {
		t.Fatalf("released: %+v, %v", e, err)
	}
	defer e.Close()
	record, err := dkim.Record(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	results, err := dkim.Verifier{DNS: published(record), Now: time.Now}.Verify(t.Context(), e.Message())
	if err != nil || len(results) != 1 || results[0].Status != dkim.Pass {
		t.Errorf("the signature: %+v, %v", results, err)
	}
}
