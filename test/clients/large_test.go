package clients

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"paperpath/test/harness"
)

// memoryDir returns a directory in memory, where 100,000 files are made in a
// moment, or else an ordinary one.
func memoryDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "paperpath")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// moveHome gives alice's row another home.
func (s *site) moveHome(to string) {
	s.t.Helper()
	path := filepath.Join(s.Home.Dir, "control/users")
	rows, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	var out []string
	for _, row := range strings.Split(strings.TrimSpace(string(rows)), "\n") {
		if strings.HasPrefix(row, alice+":") {
			f := append(strings.Split(row, ":"), make([]string, 8)...)[:8]
			f[5] = to
			row = strings.Join(f, ":")
		}
		out = append(out, row)
	}
	if err := s.Set("users", out...); err != nil {
		s.t.Fatal(err)
	}
}

// A login to 100,000 messages, STAT, UIDL and LIST look at no message.
func TestManyMessagesAreNotLookedAt(t *testing.T) {
	const n = 100_000
	needRoot(t) // pop3d is not dumpable: nobody else sees the names in its calls
	s := newSite(t, "strace")
	home := memoryDir(t)
	s.moveHome(home)
	box := filepath.Join(home, "Maildir")
	for _, sub := range []string{"tmp", "new", "cur"} {
		if err := os.MkdirAll(filepath.Join(box, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	one := filepath.Join(home, "one")
	if err := os.WriteFile(one, []byte("Subject: x\n\nx\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range n { // ext4 gives a file 65,000 names
		if i%50_000 == 0 {
			if err := os.WriteFile(one+fmt.Sprint(i/50_000), []byte("Subject: x\n\nx\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		name := fmt.Sprintf("cur/1764000000.M%06dR0123456789abcdef.mx,S=14,W=17:2,S", i)
		if err := os.Link(one+fmt.Sprint(i/50_000), filepath.Join(box, name)); err != nil {
			t.Fatal(err)
		}
	}
	trace := filepath.Join(s.dir, "trace")
	start := time.Now()
	out := s.run("USER alice\nPASS "+harness.Password+"\nSTAT\nUIDL\nLIST\nQUIT\n",
		"strace", "-f", "-qq", "-o", trace, programs.Path("pop3d"))
	if !strings.Contains(out, fmt.Sprintf("+OK %d %d\r\n", n, n*17)) || !strings.HasSuffix(out, "+OK goodbye\r\n") {
		t.Fatalf("%.300q ... %.100q", out, out[max(0, len(out)-100):])
	}
	t.Logf("%d messages below strace in %v", n, time.Since(start))
	s.listedWithin(2*time.Second, 60<<20)
	calls, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	opened := false
	for line := range strings.Lines(string(calls)) {
		if strings.Contains(line, ".M0") && !strings.Contains(line, " write(") {
			t.Fatalf("a message is looked at: %s", line)
		}
		opened = opened || strings.Contains(line, "openat(") && strings.Contains(line, `"cur"`)
	}
	if !opened || strings.Count(string(calls), "\n") > 20_000 {
		t.Errorf("%d system calls for %d messages; cur/ opened: %v", strings.Count(string(calls), "\n"), n, opened)
	}
}

// listedWithin has pop3d list alice's messages, which takes 0.4 s on a quiet machine: the best of three counts, and time on the processor only.
func (s *site) listedWithin(most time.Duration, memory int64) {
	s.t.Helper()
	best, peak := time.Hour, int64(0)
	for range 3 {
		cmd := exec.Command(programs.Path("pop3d"))
		cmd.Env = programs.Env(s.Home.Dir)
		cmd.Stdin = strings.NewReader("USER alice\r\nPASS " + harness.Password + "\r\nSTAT\r\nLIST\r\nQUIT\r\n")
		if out, err := cmd.Output(); err != nil || !strings.HasSuffix(string(out), "+OK goodbye\r\n") {
			s.t.Fatalf("%v: %.100q", err, out)
		}
		best = min(best, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
		peak = max(peak, cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss<<10)
	}
	harness.Report("measured: pop3d lists 100,000 messages in %v on the processor (limit %v), %d MiB (limit %d)", best, most, peak>>20, memory>>20)
	if best > most || peak > memory {
		s.t.Errorf("100,000 messages are listed in %v, with %d MiB", best, peak>>20)
	}
}
