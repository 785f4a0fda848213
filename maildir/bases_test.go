package maildir

import (
	"fmt"
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
