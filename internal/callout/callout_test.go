package callout

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// script makes a program.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func section(text string) *io.SectionReader {
	return io.NewSectionReader(strings.NewReader(text), 0, int64(len(text)))
}

func call(path string) Call {
	return Call{Path: path, Dir: "/", Input: section("hello\n"), Time: 30 * time.Second, Grace: time.Second, Output: 1 << 20}
}

func TestRun(t *testing.T) {
	ours, err := os.Open("callout_test.go")
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	large := strings.Repeat("0123456789abcde\n", 1<<16)
	for _, c := range []struct {
		name, text string
		input      string
		exit       int
		output     string
		failure    string // part of the error; "": there is none
	}{
		{"reads the message", "exec cat", "a\nb\n", 0, "a\nb\n", ""},
		{"an exit status", "echo no >&2; exit 67", "", 67, "no\n", ""},
		{"does not read a large message", "exit 0", large, 0, "", ""},
		{"reads a large message", "exec wc -c", large, 0, "1048576\n", ""},
		{"dies by a signal", "echo so far; kill -SEGV $$", "", -1, "so far\n", "signal: segmentation fault"},
		{"kills itself", "kill -KILL $$", "", -1, "", "signal: killed"},
		{"no shell for arguments, only our environment", `echo "$1|$X|$HOME|$PAPERPATH_HOME|$PWD"`, "", 0, "a $X; b|1|||/\n", ""},
		{"no descriptor of ours", `ls -l /proc/self/fd | grep -c callout_test.go`, "", 1, "0\n", ""},
		{"a session of its own", `set -- $(cut -d")" -f2 /proc/$$/stat); [ "$4" = $$ ]`, "", 0, "", ""},
		{"a gigabyte", "exec yes 0123456789", "", -1, strings.Repeat("0123456789\n", 187)[:2048], "wrote more than 1048576 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := call(script(t, c.text))
			r.Input, r.Args, r.Env = section(c.input), []string{"a $X; b"}, []string{"X=1"}
			got, err := r.Run(context.Background())
			if c.failure == "" && err != nil || c.failure != "" && (err == nil || !strings.Contains(err.Error(), c.failure)) {
				t.Errorf("%v, want %q", err, c.failure)
			}
			if got.Exit != c.exit || got.Output != c.output || got.Stays {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestCannotStart(t *testing.T) {
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{plain: "permission denied", plain + "-gone": "no such file or directory"} {
		if _, err := call(path).Run(context.Background()); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
}

// A program that takes too long is killed with all that it has started.
func TestTooLong(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "pid")
	c := call(script(t, "sleep 600 & echo $! >"+mark+"; wait"))
	// A machine that is busy takes longer until the program has written its number.
	for _, c.Time = range []time.Duration{200 * time.Millisecond, 2 * time.Second, 10 * time.Second} {
		begin := time.Now()
		if _, err := c.Run(context.Background()); err == nil || err.Error() != "it took longer than "+c.Time.String() {
			t.Error(err)
		}
		if took := time.Since(begin); took > c.Time+20*time.Second {
			t.Error(took)
		}
		if pid, err := os.ReadFile(mark); err == nil && strings.HasSuffix(string(pid), "\n") {
			break
		}
	}
	gone(t, mark)
}

// gone waits until the process whose number is in a file has ended.
func gone(t *testing.T, mark string) {
	t.Helper()
	pid, err := os.ReadFile(mark)
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the end of process "+string(pid), func() bool {
		stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/stat")
		return err != nil || strings.Contains(string(stat), ") Z ")
	})
}

// until waits for a condition, for 20 seconds at most.
func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// A process that the program leaves behind does not hold up the mail, even if it has the
// pipes, and is not killed: it may be sending what the program has queued.
func TestLeftBehind(t *testing.T) {
	for _, leaves := range []string{"sleep 600 &", "sleep 600 <&0 &"} {
		mark := filepath.Join(t.TempDir(), "pid")
		c := call(script(t, leaves+" echo $! >"+mark+"; echo taken; exit 0"))
		c.Input = section(strings.Repeat("x", 1<<20))
		begin := time.Now()
		got, err := c.Run(context.Background())
		if err != nil || got.Exit != 0 || got.Output != "taken\n" || !got.Stays {
			t.Errorf("%+v %v", got, err)
		}
		if took := time.Since(begin); took > 10*time.Second {
			t.Error(took)
		}
		pid, err := os.ReadFile(mark)
		if err != nil {
			t.Fatal(err)
		}
		p := strings.TrimSpace(string(pid))
		if _, err := os.Stat("/proc/" + p); err != nil {
			t.Error("it was killed", err)
		}
		if _, err := call(script(t, "kill "+p)).Run(context.Background()); err != nil {
			t.Error(err)
		}
		gone(t, mark)
	}
}

type broken struct{ n int64 }

func (b broken) ReadAt(p []byte, off int64) (int, error) {
	if off >= b.n {
		return 0, errors.New("bad disk")
	}
	n := copy(p, strings.Repeat("x", int(min(b.n-off, int64(len(p))))))
	return n, nil
}

// A message that cannot be read to its end never looks complete.
func TestUnreadable(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "end")
	path := script(t, "cat >/dev/null; echo end >"+mark)
	for name, in := range map[string]*io.SectionReader{
		"bad disk":                       io.NewSectionReader(broken{5}, 0, 100),
		"ends after 3 of 100 octets":     io.NewSectionReader(strings.NewReader("abc"), 0, 100),
		"ends after 70000 of 100000 oct": io.NewSectionReader(strings.NewReader(strings.Repeat("x", 70000)), 0, 100000),
	} {
		c := call(path)
		c.Input = in
		if _, err := c.Run(context.Background()); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want %s", err, name)
		}
		if _, err := os.Stat(mark); err == nil {
			t.Error(name, "looked complete")
		}
	}
}

// When we are told to stop, the program may finish what it does.
func TestStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	c := call(script(t, "exec cat"))
	c.Grace = 20 * time.Second
	if got, err := c.Run(ctx); err != nil || got.Output != "hello\n" {
		t.Errorf("%+v %v", got, err)
	}
	c = call(script(t, "exec sleep 600"))
	c.Grace = 50 * time.Millisecond
	if _, err := c.Run(ctx); err == nil || err.Error() != "stopped while it was running" {
		t.Error(err)
	}
}

// An answer is kept apart from what else is written, and whole, or there is none.
func TestAnswer(t *testing.T) {
	c := call(script(t, "cat; echo trouble >&2; exit 3"))
	c.Answer, c.Input = 5000, section(strings.Repeat("x", 5000))
	got, err := c.Run(context.Background())
	if err != nil || got.Exit != 3 || got.Answer != strings.Repeat("x", 5000) || got.Output != "trouble\n" {
		t.Errorf("%d %d %q %v", got.Exit, len(got.Answer), got.Output, err)
	}
	c.Input = section(strings.Repeat("x", 5001))
	for range 50 { // it may end before it is killed
		if _, err := c.Run(context.Background()); err == nil || err.Error() != "it wrote more than 5000 bytes" {
			t.Fatal(err)
		}
	}
}

// What a program takes of the processor is bounded by itself: it does not wait for anything.
func TestCPU(t *testing.T) {
	c := call(script(t, "while :; do :; done"))
	c.CPU = time.Second
	got, err := c.Run(context.Background())
	if err == nil || !strings.Contains(err.Error(), "signal: ") || strings.Contains(err.Error(), "longer") {
		t.Errorf("%+v, %v", got, err)
	}
}

// The program waits for its limit, or a busy machine would set it too late.
func TestMemory(t *testing.T) {
	c := call(script(t, `n=0
until grep -q "^Max data size  *52428800 " /proc/$$/limits || [ $((n+=1)) = 200 ]; do sleep 0.05; done
x=$(head -c 200000000 /dev/zero | tr '\0' x); echo ${#x}`))
	c.Memory = 50 << 20
	if got, err := c.Run(context.Background()); err == nil && got.Exit == 0 {
		t.Errorf("%+v", got)
	}
}
