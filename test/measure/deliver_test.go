package measure

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDeliverCalls bounds what a recipient of one message to many costs, from the split to the
// mailbox: system calls, and far fewer syncs than there are mailboxes. How few depends on how
// many are delivered to within a batch.
func TestDeliverCalls(t *testing.T) {
	const n = 200
	needTrace(t)
	h := newHome(t)
	var rows, all []string
	for i := range n {
		user := fmt.Sprintf("r%d", i)
		rows, all = append(rows, user+"@example.net:*::::::"), append(all, user+"@example.net")
		for _, sub := range []string{"tmp", "new", "cur"} {
			if err := os.MkdirAll(filepath.Join(h.Mailbox(user), sub), 0o700); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := h.Set("users", rows...); err != nil {
		t.Fatal(err)
	}
	then := time.Now().Add(-time.Minute) // what was edited just now is waited for
	for _, path := range append(h.Glob("control/*"), filepath.Join(h.Dir, "control")) {
		if err := os.Chtimes(path, then, then); err != nil {
			t.Fatal(err)
		}
	}
	text := "From: a@example.org\nSubject: x\n\n" + strings.Repeat(strings.Repeat("x", 70)+"\n", 56)
	if out, err := programs.Must(h.Dir, strings.NewReader(text), "mailsubmit", append([]string{"-f", "a@example.org"}, all...)...); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := programs.Must(h.Dir, nil, "mailcheck", "run"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, step := range []struct {
		program     string
		most, looks float64
	}{{"mailroute", 9, 2}, {"maildeliver", 52, 8}} {
		out := filepath.Join(t.TempDir(), "trace")
		cmd := exec.Command("strace", "-f", "-o", out, programs.Path(step.program), "run")
		cmd.Env = programs.Env(h.Dir)
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
		calls := counted(t, out)
		bound(t, step.program+", each of many recipients", calls, n, step.most, step.looks)
		if syncs := calls["fsync"] + calls["fdatasync"] + calls["syncfs"]; syncs > n/2 {
			t.Errorf("%s: %d syncs for %d recipients", step.program, syncs, n)
		}
	}
	if list := h.Glob("mail/example.net/r*/Maildir/new/*"); len(list) != n {
		t.Errorf("%d of %d have the message\n%s", len(list), n, h.Describe())
	}
}
