package measure

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/test/harness"
)

// deferQueue puts n entries into cur/ of relay, each with a reason as a deferral writes it (spool(5)).
func deferQueue(t *testing.T, h *harness.Home, n int) {
	t.Helper()
	relay := filepath.Join(h.Dir, "spool", "relay")
	for i := range n {
		key := fmt.Sprintf("1764000000.M%06dR%016x.mx", i%1000000, uint64(i)*0x9e3779b97f4a7c15)
		text := "Return-Path: <a@b.example>\nDelivered-To: c@d.example\nReceived: by mx\n with local id " + key + "; x\n\nx\n"
		name := fmt.Sprintf("%s,S=%d,W=%d:2,", key, len(text), len(text)+6)
		why := "entry " + strings.TrimSuffix(name, ":2,") + " from <a@b.example> to <c@d.example>\n" +
			"relay 2026-11-29T00:00:00Z deferred: mx.d.example: connection refused\n"
		if err := os.WriteFile(filepath.Join(relay, "cur", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(relay, "reason", key), []byte(why), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// look is a way to look at the queue, and the limits for it.
type look struct {
	prog  string
	args  []string
	shows bool // the reasons
	calls float64
	times float64 // the CPU time that the reading alone takes
}

func looks() []look {
	return []look{
		{"mailctl", []string{"queue", "list"}, true, 5, 1.5},
		{"mailctl", []string{"queue", "list", "--json"}, true, 5, 2.2},
		{"mailctl", []string{"queue", "summary"}, false, 5, 1.6},
		{"mailsubmit", []string{"-bp"}, true, 5, 1.7},
	}
}

func (l look) command(dir string, front ...string) *exec.Cmd {
	words := append(slices.Clone(front), programs.Path(l.prog), "--home", dir)
	words = append(words, l.args...)
	return exec.Command(words[0], words[1:]...)
}

// run runs a command, which has to show all n reasons. What it prints is not kept: the largest
// size of this process counts as that of each program that it starts (TestLargeTable).
func (l look) run(t *testing.T, cmd *exec.Cmd, n int) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	shown := 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		shown += bytes.Count(lines.Bytes(), []byte("mx.d.example: connection refused"))
	}
	if err := cmd.Wait(); err != nil || l.shows && shown != n {
		t.Fatalf("%s %v: %v, %d of %d reasons", l.prog, l.args, err, shown, n)
	}
}

// TestQueueCalls bounds what an entry costs who looks at the queue: open, stat, read and close, for
// its file or for its reason.
func TestQueueCalls(t *testing.T) {
	const n = 2000
	needTrace(t)
	h := newHome(t)
	deferQueue(t, h, n)
	for _, l := range looks() {
		trace := filepath.Join(t.TempDir(), "trace")
		l.run(t, l.command(h.Dir, "strace", "-f", "-o", trace), n)
		bound(t, fmt.Sprintf("%s %v, an entry with a reason", l.prog, l.args), counted(t, trace), n, l.calls, 0.2)
	}
}

// TestLongQueue lists a queue of PAPERPATH_QUEUE entries. A busy machine makes seconds meaningless:
// the limit is how much more CPU time that takes than to read the same files, as often and at the
// same time, with nothing around it.
func TestLongQueue(t *testing.T) {
	n := number(t, "PAPERPATH_QUEUE", 10000)
	h := newHome(t)
	deferQueue(t, h, n)
	turns := 3
	if n > 20000 { // what others do meanwhile is in the time for reading alone, too
		turns = 1
	}
	least := time.Hour
	cpu, wall := map[int]time.Duration{}, map[int]time.Duration{}
	for range turns {
		least = min(least, readAlone(t, filepath.Join(h.Dir, "spool", "relay")))
		for i, l := range looks() {
			cmd := l.command(h.Dir)
			began := time.Now()
			l.run(t, cmd, n)
			took := time.Since(began)
			spent := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
			if cpu[i] == 0 || spent < cpu[i] {
				cpu[i], wall[i] = spent, took
			}
		}
	}
	for i, l := range looks() {
		limit := 100*time.Millisecond + time.Duration(l.times*float64(least))
		harness.Report("measured: %s %v, %d entries: %.2f s, %.2f s of CPU time (limit %.2f, reading alone %.2f)",
			l.prog, l.args, n, wall[i].Seconds(), cpu[i].Seconds(), limit.Seconds(), least.Seconds())
		if cpu[i] > limit {
			t.Errorf("%s %v: %v of CPU time, limit %v", l.prog, l.args, cpu[i], limit)
		}
	}
}

// readAlone reads all entries of an inbox and their reasons, and returns the CPU time.
func readAlone(t *testing.T, inbox string) time.Duration {
	t.Helper()
	began := spent(t)
	buf := make([]byte, 4096)
	for _, sub := range []string{"cur", "reason"} {
		d, err := os.Open(filepath.Join(inbox, sub))
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		names, err := d.Readdirnames(-1)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			fd, err := unix.Openat(int(d.Fd()), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			var st unix.Stat_t
			if err := unix.Fstat(fd, &st); err != nil {
				t.Fatal(err)
			}
			if _, err := unix.Read(fd, buf); err != nil {
				t.Fatal(err)
			}
			unix.Close(fd)
		}
	}
	return spent(t) - began
}

// spent is the CPU time of this process.
func spent(t *testing.T) time.Duration {
	t.Helper()
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		t.Fatal(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}
