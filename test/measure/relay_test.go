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
	needTrace(t)
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
	bound(t, "mailrelay, a message to a near host", calls, n, 32, 8)
	if syncs := float64(calls["fsync"]+calls["fdatasync"]+calls["syncfs"]) / n; syncs > 0.5 {
		t.Errorf("%.2f syncs a message", syncs)
	}
}

func needTrace(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("strace"); err == nil && os.Geteuid() == 0 { // nobody else may trace the programs
		return
	}
	if harness.Missing("root and strace (system calls of a message)") {
		t.Fatal("no root or no strace")
	}
	t.Skip("needs root and strace")
}

// bound checks what each of n messages cost: system calls, and looks at names among them.
func bound(t *testing.T, what string, calls map[string]int, n, most, looks float64) {
	t.Helper()
	each := func(names ...string) (f float64) {
		for _, name := range names {
			f += float64(calls[name])
		}
		return f / n
	}
	names := slices.Sorted(maps.Keys(calls))
	all := each(names...) - each(ofScheduler...)
	harness.Report("measured: %s: %.1f system calls (limit %.0f), %.1f of them stat (limit %.0f), %.2f syncs", what,
		all, most, each("newfstatat"), looks, each("fsync", "fdatasync", "syncfs"))
	if all > most || each("newfstatat") > looks || all < 4 {
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
	return counted(t, out)
}

// counted returns how often each system call is in a trace.
func counted(t *testing.T, out string) map[string]int {
	t.Helper()
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
