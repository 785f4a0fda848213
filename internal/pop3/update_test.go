package pop3

import (
	"context"
	"os"
	"path/filepath"
	"testing"
)

func TestASessionRemovesNothingByAWrongClock(t *testing.T) {
	for action, want := range map[string]int{"noop": 0, "ageless": 1} {
		setup := []string{"undelete", "folder Trash", "mail .Trash/cur/9.z,P=1600000000:2, old", "mail new/1.a x"}
		if action != "noop" {
			setup = append(setup, action)
		}
		h := newHost(t, setup)
		c, done := h.start(context.Background())
		c.Write([]byte("USER alice\r\nPASS secret\r\nDELE 1\r\nQUIT\r\n"))
		c.rest()
		ended(t, done)
		if names, _ := filepath.Glob(h.maildir() + "/.Trash/cur/9.z*"); len(names) != want {
			t.Errorf("%s: left %q", action, names)
		}
	}
}

// What is deleted is taken off a Maildir++ quota that another program keeps.
func TestQuotaIsUpdated(t *testing.T) {
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
