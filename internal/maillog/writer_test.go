package maillog

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fullPipe returns a pipe that takes no octet more.
func fullPipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	size, err := unix.FcntlInt(uintptr(fds[1]), unix.F_SETPIPE_SZ, 4096)
	if err == nil {
		_, err = unix.Write(fds[1], bytes.Repeat([]byte("\n"), size))
	}
	if err != nil {
		t.Fatal(err)
	}
	r, w = os.NewFile(uintptr(fds[0]), "read end"), os.NewFile(uintptr(fds[1]), "write end")
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// A reader that stops costs events and a second, not the program. The event that
// gets through again says how many were lost, and one that was only late is not
// counted.
func TestABlockedLogHoldsNobodyUp(t *testing.T) {
	r, w := fullPipe(t)
	l := To(w, "test", at)
	begun := time.Now()
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() { l.Busy("route") })
	}
	all.Wait()
	for range 100 {
		l.Busy("route")
	}
	if took := time.Since(begun); took > 20*patience || took < patience { // one after the other they take 100
		t.Errorf("120 events took %v", took)
	}
	lines := make(chan string, 300)
	go func() {
		buf := make([]byte, 8192)
		for rest := ""; ; {
			n, err := r.Read(buf)
			rest += string(buf[:n])
			for {
				line, after, whole := strings.Cut(rest, "\n")
				if !whole {
					break
				}
				if rest = after; line != "" {
					lines <- line
				}
			}
			if err != nil {
				close(lines)
				return
			}
		}
	}()
	next := func() string {
		t.Helper()
		select {
		case line := <-lines:
			return line
		case <-time.After(time.Minute):
			t.Fatal("no line in a minute")
			return ""
		}
	}
	if first := next(); !strings.Contains(first, "event=busy") {
		t.Errorf("the late line is %q", first)
	}
	// It was read before its writer knows that it is written.
	for end := time.Now().Add(time.Minute); len(l.to.slot) > 0 && time.Now().Before(end); {
		runtime.Gosched()
	}
	l.Watching("route")
	if told := next(); !strings.Contains(told, "prog=test event=lost key=- events=119") {
		t.Errorf("what was lost is told by %q", told)
	}
	if behind := next(); !strings.Contains(behind, "event=watching") {
		t.Errorf("behind it comes %q", behind)
	}
	w.Close()
	if more, open := <-lines; open {
		t.Errorf("and then %q", more)
	}
}

// What is no regular file is no log: not a fifo, whose open or write would wait,
// not a link to another's file, not a directory.
func TestALogIsARegularFile(t *testing.T) {
	for name, make := range map[string]func(path, other string) error{
		"a fifo":      func(path, _ string) error { return unix.Mkfifo(path, 0o600) },
		"a link":      func(path, other string) error { return os.Symlink(other, path) },
		"a directory": func(path, _ string) error { return os.Mkdir(path, 0o700) },
	} {
		home := t.TempDir()
		path, other := filepath.Join(home, "log", "mail.log"), filepath.Join(home, "other")
		err := errors.Join(os.Mkdir(filepath.Join(home, "log"), 0o700), os.WriteFile(other, nil, 0o600), make(path, other))
		if err != nil {
			t.Fatal(err)
		}
		l := Open(home, "test", func() string { return "file" }, at)
		begun := time.Now()
		for range 40 {
			l.Busy("route")
		}
		if took := time.Since(begun); took > 20*patience { // 40, if each waited
			t.Errorf("%s: 40 events took %v", name, took)
		}
		if text, err := os.ReadFile(other); err != nil || len(text) > 0 {
			t.Errorf("%s: %q, %v in another file", name, text, err)
		}
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		l.Watching("route")
		text, err := os.ReadFile(path)
		if lines := strings.Split(string(text), "\n"); err != nil || len(lines) != 3 ||
			!strings.Contains(lines[0], "event=lost key=- events=40") || !strings.Contains(lines[1], "event=watching") {
			t.Errorf("%s: the file holds %q, %v", name, text, err)
		}
	}
}

// Where the machine's log is not there, its events are counted too.
func TestEventsWithoutSyslogAreCounted(t *testing.T) {
	l := To(&failing{2, new(bytes.Buffer)}, "test", at)
	for n := range 4 {
		l.Busy(fmt.Sprint(n))
	}
	text := l.to.out.(*failing).Buffer.String()
	if lines := strings.Split(text, "\n"); len(lines) != 4 || !strings.Contains(lines[0], "events=2") || !strings.Contains(lines[2], "inbox=3") {
		t.Errorf("got %q", text)
	}
}

// failing is a place that cannot be written so many times.
type failing struct {
	times int
	*bytes.Buffer
}

func (f *failing) Write(p []byte) (int, error) {
	if f.times--; f.times >= 0 {
		return 0, errors.New("not there")
	}
	return f.Buffer.Write(p)
}
