package measure

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"paperpath/internal/spool"
	"paperpath/test/harness"
)

// The calls of Go's scheduler, whose number depends on what else the machine does.
var ofScheduler = []string{"futex", "nanosleep", "sched_yield", "epoll_pwait", "rt_sigaction", "rt_sigprocmask",
	"rt_sigreturn", "sigaltstack", "gettid", "getpid", "tgkill", "madvise", "mmap", "munmap", "clone", "clone3"}

// TestRelayCalls bounds what a message that waits for a near host costs, in figures that
// do not depend on the machine.
func TestRelayCalls(t *testing.T) {
	const n = 300
	if _, err := exec.LookPath("strace"); err != nil || os.Geteuid() != 0 { // nobody else may trace it
		if harness.Missing("root and strace (system calls of mailrelay)") {
			t.Fatal("no root or no strace")
		}
		t.Skip("needs root and strace")
	}
	h := newHome(t)
	sink, err := harness.NewSink("ok")
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	if err := h.Set("routes", "near.example: "+sink.Addr); err != nil {
		t.Fatal(err)
	}
	queue(t, h, n)
	calls := trace(t, h, "mailrelay", "run")
	if got := len(sink.Received()); got != n || len(h.Queued()) != 0 {
		t.Fatalf("%d of %d messages arrived, %d wait\n%s", got, n, len(h.Queued()), h.Describe())
	}
	each := func(names ...string) (f float64) {
		for _, name := range names {
			f += float64(calls[name])
		}
		return f / n
	}
	names := slices.Sorted(maps.Keys(calls))
	all := each(names...) - each(ofScheduler...)
	harness.Report("measured: mailrelay, a message to a near host: %.1f system calls (limit 32), %.1f of them stat (limit 8), "+
		"%.2f syncs (limit 0.5)", all, each("newfstatat"), each("fsync", "fdatasync", "syncfs"))
	if all > 32 || each("newfstatat") > 8 || each("fsync", "fdatasync", "syncfs") > 0.5 || all < 10 {
		for _, name := range names {
			t.Logf("%s %.2f", name, each(name))
		}
		t.Errorf("%.1f system calls a message", all)
	}
}

// queue puts n messages of 4 KiB into relay/.
func queue(t *testing.T, h *harness.Home, n int) {
	t.Helper()
	s, err := spool.Open(h.Dir, spool.Options{Hostname: harness.Hostname})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	text := []byte(message + strings.Repeat(strings.Repeat("x", 63)+"\n", 64))
	for i := range n {
		env := spool.Envelope{From: spool.Path{Addr: "alice@example.net"},
			To: []spool.Recipient{{Addr: fmt.Sprintf("u%d@near.example", i)}}}
		_, err := s.Accept(spool.InboxRelay, env, nil, spool.Trace{By: harness.Hostname, With: spool.WithLocal}, spool.BytesBody(text))
		if err != nil {
			t.Fatal(err)
		}
	}
}

// trace runs a program below strace and returns how often it made each system call.
func trace(t *testing.T, h *harness.Home, name string, args ...string) map[string]int {
	t.Helper()
	out := filepath.Join(t.TempDir(), "trace")
	cmd := exec.Command("strace", append([]string{"-f", "-qq", "-o", out, programs.Path(name)}, args...)...)
	cmd.Env = programs.Env(h.Dir)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	calls := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^\d+ +([a-z0-9_]+)\(`).FindAllSubmatch(text, -1) {
		calls[string(m[1])]++
	}
	return calls
}
