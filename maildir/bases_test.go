package maildir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// A base is looked at again after a second, and at once where it was not trusted.
func TestBases(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, whom alone everything below a base may belong to")
	}
	base := filepath.Join(t.TempDir(), "base")
	if err := os.Mkdir(base, 0o755); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		var known Bases
		mode := func(mode os.FileMode) {
			if err := os.Chmod(base, mode); err != nil {
				t.Fatal(err)
			}
		}
		trusts := func(when string, want bool) {
			t.Helper()
			if err := known.trust(base); (err == nil) != want {
				t.Errorf("%s: %v", when, err)
			}
		}
		trusts("at first", true)
		mode(0o777)
		trusts("within the second", true)
		time.Sleep(basesKept)
		trusts("later", false)
		mode(0o755)
		trusts("mended", true)
		for n := range basesKnown + 1 {
			other := filepath.Join(base, fmt.Sprint(n))
			if err := os.Mkdir(other, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := known.trust(other); err != nil {
				t.Error(err)
			}
		}
		if len(known.trusted) > basesKnown {
			t.Errorf("%d bases are known", len(known.trusted))
		}
	})
}

// TestHold: the directory that homes are in is held while it is used, and for a moment; then its
// path counts again.
func TestHold(t *testing.T) {
	base := t.TempDir()
	for _, path := range []string{"x/example.net/alice", "x/example.net/bob"} {
		if err := Create(filepath.Join(base, path, "Maildir")); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		var known Bases
		enter := func(user string) error {
			p := Place{Base: base, Rel: "x/example.net/" + user + "/Maildir", UID: os.Geteuid(), Known: &known}
			w, err := p.Enter("x/example.net/" + user)
			if err == nil {
				w.Close()
			}
			return err
		}
		if err := errors.Join(enter("alice"), enter("bob")); err != nil || len(known.held) != 1 {
			t.Fatalf("%d are held, %v", len(known.held), err)
		}
		names := []string{"x", "example.net"}
		h, err := known.hold(Place{Base: base, UID: os.Geteuid()}, names)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(base, "x"), filepath.Join(base, "y")); err != nil {
			t.Fatal(err)
		}
		if err := enter("alice"); err != nil {
			t.Errorf("while it is held: %v", err)
		}
		time.Sleep(heldFor)
		synctest.Wait()
		if err := enter("alice"); !errors.Is(err, fs.ErrNotExist) || len(known.held) != 0 {
			t.Errorf("later: %v", err)
		}
		if _, err := h.d.Stat(); err != nil {
			t.Errorf("it is closed while it is used: %v", err)
		}
		known.release(h)
		if _, err := h.d.Stat(); err == nil {
			t.Error("it stays open")
		}
	})
}
