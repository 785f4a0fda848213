package pop3serve

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/internal/clock"
	"paperpath/internal/home"
	"paperpath/internal/status"
	"paperpath/maildir"
)

func TestExpire(t *testing.T) {
	h, log := newHome(t, map[string]string{"control/undelete": "2d\n",
		"control/users": "alice@example.net:*\nbob@example.net:*\ncarol@example.net:*\n"})
	var err error
	if h.Clock, err = clock.Parse("2026-11-23T12:00:00Z"); err != nil {
		t.Fatal(err)
	}
	believe(t, h)
	at := func(d time.Duration) string { // a name parked so long ago
		m := maildir.Message{Name: "1.a", Sub: "new", Key: "1.a"}
		return maildir.TrashName(m, h.Clock.Now().Add(-d))
	}
	mailbox := func(user string) string { return filepath.Join(h.Dir, "mail/example.net", user, "Maildir") }
	for _, user := range []string{"alice", "carol"} {
		trash, err := maildir.OpenTrash(mailbox(user), true)
		if err != nil {
			t.Fatal(err)
		}
		trash.Close()
		for _, name := range []string{at(49 * time.Hour), at(47 * time.Hour), "2.b:2,ST"} {
			if err := os.WriteFile(filepath.Join(mailbox(user), ".Trash/cur", name), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	left := func(want int) {
		t.Helper()
		if names, _ := filepath.Glob(mailbox("alice") + "/.Trash/cur/*"); len(names) != want {
			t.Errorf("left are %q", names)
		}
	}
	if err := expire(h); err != nil {
		t.Fatal(err)
	}
	left(2)
	if !strings.Contains(log.String(), "event=expired key=- mailbox="+mailbox("alice")+"/.Trash messages=1\n") {
		t.Errorf("log:\n%s", log)
	}
	// Without the setting everything that DELE moved there goes, and a mailbox that
	// cannot be cleaned stops no other.
	os.Remove(filepath.Join(h.Dir, "control/undelete"))
	if err := os.MkdirAll(mailbox("bob"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(mailbox("bob")+"/.Trash", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := expire(h); status.Exit(err) != status.TempFail {
		t.Errorf("a broken trash: %v", err)
	}
	left(1)
}

// A clock that jumps empties no trash: neither pop3d expire nor a session.
func TestAJumpOfTheClockLeavesTheTrash(t *testing.T) {
	h, log := newHome(t, map[string]string{"control/undelete": "2d\n", "control/users": "alice@example.net:*\n"})
	trash, err := maildir.OpenTrash(filepath.Join(h.Dir, "mail/example.net/alice/Maildir"), true)
	if err != nil {
		t.Fatal(err)
	}
	defer trash.Close()
	name := filepath.Join(trash.Path(), "cur", maildir.TrashName(maildir.Message{Name: "1.a"}, time.Now()))
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	there := func() bool { _, err := os.Stat(name); return err == nil }
	believe(t, h) // the pass that the next is compared with
	if err := expire(h); err != nil || !there() {
		t.Fatal(err)
	}
	for range 2 {
		if h.Clock, err = clock.Parse(time.Now().Add(40 * 24 * time.Hour).Format(time.RFC3339)); err != nil {
			t.Fatal(err)
		}
		if err := expire(h); status.Exit(err) != status.TempFail || !there() {
			t.Errorf("%v; the message is there: %v", err, there())
		}
	}
	if strings.Count(log.String(), "event=clock-moved key=- ahead=9") != 1 {
		t.Errorf("log:\n%s", log)
	}
	// Without its record the home cannot tell that the clock is right.
	if err := os.Remove(filepath.Join(h.Dir, clock.Record)); err != nil {
		t.Fatal(err)
	}
	if err := expire(h); status.Exit(err) != status.TempFail || !there() {
		t.Errorf("without a record: %v; the message is there: %v", err, there())
	}
	believe(t, h)
	if err := expire(h); err != nil || there() {
		t.Errorf("with a clock that is believed: %v, there: %v", err, there())
	}
}

// expire is pop3d expire in this home.
func expire(h *home.Home) error {
	e := Expirer{Control: h.Control, Log: h.Log, Now: h.Clock.Now, AgesCount: h.AgesCount}
	return e.Run(context.Background())
}

// believe records the clock of h as right, as in a new home.
func believe(t *testing.T, h *home.Home) {
	t.Helper()
	if err := clock.Begin(h.Dir, h.Clock.Now()); err != nil {
		t.Fatal(err)
	}
}
