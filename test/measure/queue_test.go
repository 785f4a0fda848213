package measure

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestQueueCalls bounds what an entry costs who looks at the queue: 100,000 of them are shown in
// under a second on two processors that do nothing else, which no test can rely on.
func TestQueueCalls(t *testing.T) {
	const n = 2000
	needTrace(t)
	h := newHome(t)
	relay := filepath.Join(h.Dir, "spool", "relay")
	for i := range n {
		key := fmt.Sprintf("1764000000.M%06dR%016x.mx", i, i)
		text := "Return-Path: <a@b.example>\nDelivered-To: c@d.example\nReceived: by mx\n with local id " + key + "; x\n\nx\n"
		name := fmt.Sprintf("%s,S=%d,W=%d:2,", key, len(text), len(text)+6)
		why := "relay 2026-11-29T00:00:00Z deferred: mx.d.example: connection refused\n"
		if err := os.WriteFile(filepath.Join(relay, "cur", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(relay, "reason", key), []byte(why), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"queue", "list"}, {"queue", "list", "--json"}, {"queue", "summary"}} {
		out := filepath.Join(t.TempDir(), "trace")
		words := append([]string{"-f", "-o", out, programs.Path("mailctl"), "--home", h.Dir}, args...)
		said, err := exec.Command("strace", words...).Output()
		if err != nil || args[1] == "list" && bytes.Count(said, []byte("connection refused\n"))+bytes.Count(said, []byte(`connection refused"`)) < n {
			t.Fatalf("%v: %v\n%.500s", args, err, said)
		}
		bound(t, fmt.Sprintf("mailctl %v, an entry with a reason", args), counted(t, out), n, 12, 3)
	}
}
