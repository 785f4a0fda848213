package auth

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// run does f at the gate, or gives up after a moment.
func (g *gate) run(t *testing.T, b bounds, w work, known bool, f func() error) (ran bool) {
	t.Helper()
	p := g.open()
	defer p.close()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	ran, err := p.run(ctx, b, w, known, f)
	if err != nil {
		t.Fatal(err)
	}
	return ran
}

func nothing() error { return nil }

// inGate starts another process that holds its place in the gate until it is killed.
func inGate(t *testing.T, path string, w work) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestGateAcrossProcesses$")
	cmd.Env = append(os.Environ(), "PAPERPATH_TEST_GATE="+path, fmt.Sprintf("PAPERPATH_TEST_WORK=%t %d", w.program, w.memory))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); cmd.Process.Kill(); cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "in\n" {
		t.Fatalf("the process says %q, %v", line, err)
	}
	return cmd
}

// All processes share one gate; a fifth of it is reserved for known clients, and what a
// process held is free once it is killed.
func TestGateAcrossProcesses(t *testing.T) {
	b := bounds{slots: 5, memory: 100}
	if path := os.Getenv("PAPERPATH_TEST_GATE"); path != "" {
		var w work
		fmt.Sscan(os.Getenv("PAPERPATH_TEST_WORK"), &w.program, &w.memory)
		newGate(path, func(string, error) {}).open().run(context.Background(), b, w, false, func() error {
			fmt.Println("in")
			io.Copy(io.Discard, os.Stdin)
			return nil
		})
		return
	}
	for name, tt := range map[string]struct {
		work work
		fit  int // strangers
	}{
		"slots":    {work{memory: 1}, 4},
		"memory":   {work{memory: 30}, 2},
		"programs": {work{program: true}, programsMost - (programsMost+4)/5},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "gate")
			g := newGate(path, func(string, error) {})
			var told []string
			var last *exec.Cmd
			for range tt.fit {
				last = inGate(t, path, tt.work)
			}
			if g.run(t, b, tt.work, false, nothing) {
				t.Error("one more stranger fits")
			}
			if !g.run(t, b, tt.work, true, nothing) {
				t.Error("who is known does not fit")
			}
			if err := last.Process.Signal(unix.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			later := newGate(path, func(op string, err error) { told = append(told, op+": "+err.Error()) })
			later.now = func() time.Duration { return monotonic() + stuckTime }
			if !later.run(t, b, tt.work, false, nothing) {
				t.Error("one that was stopped keeps others out for longer than any check takes")
			}
			if len(told) == 0 || !strings.Contains(told[0], path) {
				t.Errorf("told is %q", told)
			}
			last.Process.Kill()
			last.Wait()
			if !g.run(t, b, tt.work, false, nothing) {
				t.Error("what a dead process held is not free")
			}
		})
	}
}

// Without a file the gate limits this process alone; work that needs more memory than
// there is gets all of it.
func TestGateWithinAProcess(t *testing.T) {
	for _, path := range []string{filepath.Join(t.TempDir(), "gate"), "/proc/nowhere/gate", "/dev/null"} {
		g := newGate(path, func(string, error) {})
		b := bounds{slots: 10, memory: 256}
		for name, tt := range map[string]struct {
			work work
			most int64
		}{"slots": {work{memory: 1}, 8}, "memory": {work{memory: 64}, 3}, "huge": {work{memory: 4096}, 1}} {
			var now, peak, ran atomic.Int64
			var all sync.WaitGroup
			for range 24 {
				all.Go(func() {
					p := g.open()
					defer p.close()
					ok, err := p.run(context.Background(), b, tt.work, false, func() error {
						for n := now.Add(1); ; {
							was := peak.Load()
							if n <= was || peak.CompareAndSwap(was, n) {
								break
							}
						}
						time.Sleep(time.Millisecond) // so that they meet
						now.Add(-1)
						ran.Add(1)
						return nil
					})
					if !ok || err != nil {
						t.Error(ok, err)
					}
				})
			}
			all.Wait()
			if peak.Load() > tt.most || ran.Load() != 24 {
				t.Errorf("%s, %s: %d at a time, %d ran", path, name, peak.Load(), ran.Load())
			}
		}
	}
}

// The gate of a single process needs nothing from the system, which may have no /proc,
// and here has no descriptor left.
func TestGateOutOfNothing(t *testing.T) {
	c := settings(t, "alice@b.example:{PLAIN}right")
	g := newGuard(t, c)
	g.expect(t, "before", 0, "192.0.2.1", "alice", "right") // reads the settings
	var had unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_NOFILE, &had)
	if err = errors.Join(err, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Max: had.Max})); err != nil {
		t.Fatal(err)
	}
	right, wrong := g.login("192.0.2.1", "alice", "right"), g.login("192.0.2.1", "alice", "wrong")
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &had); err != nil {
		t.Fatal(err)
	}
	if right != 0 || wrong != 535 {
		t.Errorf("a right login is answered %d, a wrong one %d", right, wrong)
	}
	if troubles := strings.Join(g.troubles, "\n"); !strings.Contains(troubles, "use a gate of this process alone") {
		t.Errorf("the troubles are %q", troubles)
	}
}

// An error of the work is returned as it is, and the gate is free again.
func TestGateGivesBack(t *testing.T) {
	g, b, oops := newGate(filepath.Join(t.TempDir(), "gate"), func(string, error) {}), bounds{slots: 2, memory: 10}, errors.New("oops")
	for range 5 {
		p := g.open()
		defer p.close() // only at the end: a login may do more than one thing
		if ran, err := p.run(context.Background(), b, work{memory: 10}, false, func() error { return oops }); !ran || err != oops {
			t.Fatal(ran, err)
		}
	}
}

func TestMemoryOf(t *testing.T) {
	for field, want := range map[string]int{"": 1, "{PLAIN}x": 1, "{SHA512-CRYPT}$6$a$b": 1,
		"{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=4$a$b": 65, "$argon2i$v=19$t=3,m=100,p=4$a$b": 1, "{CRYPT}$y$j9T$a$b": 16, "$y$jBT$a$b": 64,
		"{ARGON2ID}$argon2id$v=19$m=99999999,t=3,p=4$a$b": 1, "$argon2id$": 1} {
		if got := memoryOf(field); got != want {
			t.Errorf("%s: %d MiB", field, got)
		}
	}
}

// 24 wrong logins at once, each of 64 MiB, take no more memory than the budget and what
// the program needs anyway.
func TestPeakMemory(t *testing.T) {
	if os.Getenv("PAPERPATH_TEST_PEAK") == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestPeakMemory$", "-test.v")
		cmd.Env = append(os.Environ(), "PAPERPATH_TEST_PEAK=1")
		out, err := cmd.CombinedOutput()
		_, rest, _ := strings.Cut(string(out), "VmHWM:")
		var kib int
		fmt.Sscan(rest, &kib)
		t.Logf("peak %d MiB", kib>>10)
		if err != nil || kib == 0 || kib > 400<<10 {
			t.Errorf("peak %d KiB, %v\n%s", kib, err, out)
		}
		return
	}
	const hash = "{ARGON2ID}$argon2id$v=19$m=65536,t=1,p=1$FQGk7lyluLOe+PC5hwTIuw$D6+02BIuxVXA10W+jqMlG7Ky9sJmY7X3JWOdgQPBKV0"
	var rows []string
	for i := range 24 {
		rows = append(rows, fmt.Sprintf("u%d@b.example:%s", i, hash))
	}
	c := settings(t, rows...)
	writeControl(t, c, "concurrency", "passwords: 24\n")
	guard := newGuard(t, c)
	var all sync.WaitGroup
	var checked atomic.Int32
	for i := range 24 {
		all.Go(func() {
			users := &Users{Control: c, Guard: guard.Guard, Client: "192.0.2.1"}
			err := users.Password(context.Background(), fmt.Sprintf("u%d@b.example", i), "wrong")
			switch {
			case IsWrong(err):
				checked.Add(1)
			case err == nil || err.Error() != tooBusy().Error(): // a busy machine lets some wait for too long
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := checked.Load(); n < 4 {
		t.Errorf("only %d logins were checked", n)
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Print(string(status))
}
