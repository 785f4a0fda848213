package auth

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/internal/control"
)

// A likeness can be checked, costs as much as its model, and has nothing of it but
// settings and salt.
func TestLikeness(t *testing.T) {
	for name, hash := range foreignHashes() {
		like := likeness(hash)
		if like == hash || costOf(like) != costOf(hash) || memoryOf(like) != memoryOf(hash) {
			t.Errorf("%s: %s is like %s", name, like, hash)
		}
		if ok, err := verify(like, "correct horse"); ok || err != nil {
			t.Errorf("%s: %s: %v, %v", name, like, ok, err)
		}
		_, _, model := control.SplitScheme(hash)
		for tail := model[max(0, len(model)-12):]; len(tail) > 6; tail = tail[:len(tail)-1] {
			if strings.Contains(like, tail) {
				t.Errorf("%s: %s has %s", name, like, tail)
			}
		}
	}
	for _, broken := range []string{"", "x", "{SCRAM-SHA-256}x", "{CRYPT}abc", "$6$"} {
		if got := likeness(broken); got != "" {
			t.Errorf("%q: %q", broken, got)
		}
	}
}

// A process that has not seen a user yet, such as a session under inetd, does the work
// for an unknown login that another process saw a known one cost.
func TestUnknownUserOfAProgramInANewProcess(t *testing.T) {
	for name, hash := range foreignHashes() {
		c := settings(t, "once:"+script(t, `case $1 in
a@b.example) echo 'a@b.example:`+hash+`' ;;
*) exit 67 ;;
esac
`))
		if err := os.Mkdir(filepath.Join(c.Home(), "run"), 0o700); err != nil {
			t.Fatal(err)
		}
		field := func(login string) string {
			c := control.Open(c.Home(), time.Now) // another process
			u, err := c.LoginUser(login)
			if err != nil {
				t.Fatal(err)
			}
			f, err := fieldFor(c, u, login)
			if err != nil {
				t.Fatal(err)
			}
			return f
		}
		known, unknown := field("a@b.example"), field("nobody@b.example")
		if known != hash || costOf(unknown) != costOf(known) || unknown == known {
			t.Errorf("%s: a known login is held against %s, an unknown one against %s", name, known, unknown)
		}
		text, err := os.ReadFile(likenessFile(c))
		field("a@b.example")
		if again, wrong := os.ReadFile(likenessFile(c)); err != nil || wrong != nil || string(again) != string(text) {
			t.Errorf("%s: it is written each time: %v, %v", name, err, wrong)
		}
	}
}
