package faces

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/test/harness"
)

const short = "From: a@example.org\nSubject: x\n\nx\n"

// within fails the test where work takes longer than d: it may hang for ever.
func within(t *testing.T, d time.Duration, what string, work func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		work()
	}()
	select {
	case <-done:
	case <-time.After(d):
		t.Fatalf("%s takes longer than %v", what, d)
	}
}

// Where the reader of standard error stops, a server that logs there serves on.
// When it reads again the log says what it has not got.
func TestFullStandardError(t *testing.T) {
	s := newSite(t)
	if err := s.Set("log", "stderr"); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	size, err := unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, 4096)
	if err == nil {
		_, err = w.Write(bytes.Repeat([]byte("\n"), size))
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(programs.Path("mailsubmit"), "smtp", "--listen", s.Addr["mx"])
	cmd.Env, cmd.Stderr = programs.Env(s.Home.Dir), w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	defer cmd.Process.Kill()
	if err := harness.Wait("the server", time.Minute, func() bool { return !harness.NothingAt(s.Addr["mx"]) }); err != nil {
		t.Fatal(err)
	}
	send := func() {
		if reply, err := harness.SendMail(s.Addr["mx"], "a@example.org", []string{"alice@example.net"}, []byte(short)); err != nil {
			t.Error(reply, err)
		}
	}
	within(t, time.Minute, "ten messages beside a full pipe", func() {
		for range 10 {
			send()
		}
	})
	lines := make(chan string, 1000)
	go func() {
		defer close(lines)
		for scan := bufio.NewScanner(r); scan.Scan(); {
			lines <- scan.Text()
		}
	}()
	told := false
	within(t, time.Minute, "the event lost", func() {
		send()
		for line := range lines {
			if told = strings.Contains(line, "prog=mailsubmit event=lost key=- events="); told {
				return
			}
		}
	})
	if !told {
		t.Error("nothing tells what was lost")
	}
	cmd.Process.Signal(syscall.SIGTERM)
	within(t, time.Minute, "the end", func() {
		for range lines { // until the program ends
		}
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
}

// A fifo in the place of the log holds no program up, and is told on standard
// error, but not to a client.
func TestFifoForALog(t *testing.T) {
	s := newSite(t)
	log := s.Home.Dir + "/log/mail.log"
	if err := os.Remove(log); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(log, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{"sendmail alice@example.net", "mailcheck run", "mailroute run", "maildeliver run"} {
		w := strings.Fields(words)
		within(t, time.Minute, words, func() {
			r, err := programs.Run(s.Home.Dir, strings.NewReader(short), w[0], w[1:]...)
			said := "events are lost, the mail is not: open " + log
			if err != nil || r.Status != 0 || strings.Count(r.Stderr, "\n") != 1 || !strings.Contains(r.Stderr, said) {
				t.Errorf("%s: %+v, %v", words, r, err)
			}
		})
	}
	if len(s.Glob("mail/example.net/alice/Maildir/new/*")) != 1 {
		t.Error("the message is not there")
	}
	// Below inetd standard error is the client's.
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	theirs, ours := os.NewFile(uintptr(pair[0]), "server"), os.NewFile(uintptr(pair[1]), "client")
	defer ours.Close()
	cmd := exec.Command(programs.Path("mailsubmit"), "smtp")
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = programs.Env(s.Home.Dir), theirs, theirs, theirs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	within(t, time.Minute, "a session below inetd", func() {
		if _, err := ours.WriteString("QUIT\r\n"); err != nil {
			t.Error(err)
		}
		for scan := bufio.NewScanner(ours); scan.Scan(); {
			if !strings.HasPrefix(scan.Text(), "2") {
				t.Errorf("the client gets %q", scan.Text())
			}
		}
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
}
