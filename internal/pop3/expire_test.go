package pop3

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/internal/clock"
	"paperpath/internal/status"
	"paperpath/maildir"
)

func TestExpire(t *testing.T) {
	f, log := testFrame(t, map[string]string{"control/undelete": "2d\n",
		"control/users": "alice@example.net:*\nbob@example.net:*\ncarol@example.net:*\n"})
	var err error
	if f.Clock, err = clock.Parse("2026-11-23T12:00:00Z"); err != nil {
		t.Fatal(err)
	}
	at := func(d time.Duration) string { // a name parked so long ago
		m := maildir.Message{Name: "1.a", Sub: "new", Key: "1.a"}
		return maildir.ParkedName(m, f.Clock.Now().Add(-d))
	}
	box := func(user string) string { return filepath.Join(f.Home, "mail/example.net", user, "Maildir") }
	for _, user := range []string{"alice", "carol"} {
		trash, err := maildir.OpenTrash(box(user), true)
		if err != nil {
			t.Fatal(err)
		}
		trash.Close()
		for _, name := range []string{at(49 * time.Hour), at(47 * time.Hour), "2.b:2,ST"} {
			if err := os.WriteFile(filepath.Join(box(user), ".Trash/cur", name), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	left := func(want int) {
		t.Helper()
		if names, _ := filepath.Glob(box("alice") + "/.Trash/cur/*"); len(names) != want {
			t.Errorf("left are %q", names)
		}
	}
	if err := Expire(context.Background(), f); err != nil {
		t.Fatal(err)
	}
	left(2)
	if !strings.Contains(log.String(), "event=expired key=- mailbox="+box("alice")+"/.Trash messages=1\n") {
		t.Errorf("log:\n%s", log)
	}
	// Without the setting all that was parked goes, and one mailbox that cannot
	// be cleaned stops no other.
	os.Remove(filepath.Join(f.Home, "control/undelete"))
	if err := os.MkdirAll(box("bob"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(box("bob")+"/.Trash", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Expire(context.Background(), f); status.Exit(err) != status.TempFail {
		t.Errorf("a broken trash: %v", err)
	}
	left(1)
}

// A Maildir++ quota that another program keeps is told what leaves.
func TestQuotaIsTold(t *testing.T) {
	for _, undelete := range []string{"noop", "undelete"} {
		setup := []string{"mail new/1.a,S=2,W=3 x\\n", "mail new/2.b yy\\n", "mail cur/3.c:2,T zz\\n", "mail cur/4.d,S=2,W=3:2, x\\n",
			"mail maildirsize 100S\\n10 4\\n"}
		if undelete != "noop" {
			setup = append(setup, undelete)
		}
		h := newHost(t, setup)
		c, done := h.start(context.Background())
		c.Write([]byte("USER alice\r\nPASS secret\r\nDELE 1\r\nDELE 2\r\nDELE 3\r\nQUIT\r\n"))
		c.rest()
		ended(t, done)
		if text, _ := os.ReadFile(filepath.Join(h.maildir(), "maildirsize")); string(text) != "100S\n10 4\n-5 -2\n" {
			t.Errorf("maildirsize is %q", text)
		}
	}
}
