package program

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// slack returns the timer slack of all threads, in nanoseconds, each once. Who is not root may see
// that of the calling thread alone.
func slack(t *testing.T) (all []string) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, thread := range threads {
		text, err := os.ReadFile(filepath.Join("/proc", thread.Name(), "timerslack_ns"))
		if s := strings.TrimSpace(string(text)); err == nil && !seen[s] {
			seen[s], all = true, append(all, s)
		}
	}
	return all
}

// All threads, that of the runtime's monitor among them, may wake late; not where there is one
// processor alone.
func TestWakeSeldom(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	before := slack(t)
	if wakeSeldom(); len(before) != 1 || strings.Join(slack(t), " ") != before[0] {
		t.Errorf("with one processor %s, before %s", slack(t), before)
	}
	runtime.GOMAXPROCS(2)
	want := "1000000"
	if _, _, e := syscall.AllThreadsSyscall(unix.SYS_GETPID, 0, 0, 0); e == syscall.ENOTSUP {
		want = before[0] // cgo, as with the race detector
	}
	if wakeSeldom(); strings.Join(slack(t), " ") != want {
		t.Errorf("with two processors %s, want %s", slack(t), want)
	}
}
