package faces

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/test/harness"
)

// typed is what a program is told before the signal comes: of a message half
// of its header, half of its body.
var (
	halfHeader = "To: " + alice + "\nSubject: half a hea\n"
	halfBody   = halfHeader + "\nhalf a bo\n"
	halfSMTP   = "EHLO x\r\nMAIL FROM:<" + alice + ">\r\nRCPT TO:<" + alice + ">\r\nDATA\r\nSubject: half\r\n\r\nhalf a bo\r\n"
)

// Whatever reads standard input ends at SIGINT and SIGTERM with 75, on a pipe
// and on a terminal, and what was typed is nowhere.
func TestSignalWhileReading(t *testing.T) {
	s := newSite(t)
	hung := harness.FreeAddr() // nobody is there: nothing may be sent anyway
	programs := map[string][]string{
		"sendmail": {alice}, "sendmail -t": {"-t"}, "sendmail -i": {"-i", alice}, "mailcheck": nil,
		"mailcheck explain": {"explain"}, "maildeliver": {"-d", alice}, "mailrelay": {"--via", hung, "--from", alice, "--to", "x@far.example"},
		"sendmail -bs": {"-bs"}, "mailsubmit smtp": {"smtp", "--role", "mx"}, "pop3d": nil,
		"mailctl": {"user", "passwd", "--password-stdin", alice},
	}
	for name, args := range programs {
		texts := []string{halfHeader, halfBody}
		switch name {
		case "sendmail -bs", "mailsubmit smtp":
			texts = []string{"EHLO x\r\n", halfSMTP}
		case "pop3d":
			texts = []string{"USER alice\r\n"}
		case "mailctl":
			texts = []string{"half a password\n"}
		}
		for _, text := range texts {
			for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
				for kind, open := range map[string]func(*testing.T) (near, far *os.File){"pipe": pipe, "terminal": terminal} {
					t.Run(fmt.Sprintf("%s/%s/%d octets/%s", name, kind, len(text), unix.SignalName(sig)), func(t *testing.T) {
						t.Parallel()
						s.interrupt(t, open, sig, text, strings.Fields(name)[0], args...)
					})
				}
			}
		}
	}
	t.Cleanup(func() {
		if left := append(s.Queued(), s.Glob("mail/example.net/alice/Maildir/???/*")...); len(left) > 0 {
			t.Errorf("left %q", left)
		}
		if left := s.Glob("spool/*/tmp/*"); len(left) > 0 {
			t.Errorf("left %q", left)
		}
	})
}

// interrupt starts a program, lets it read text, and sends the signal.
func (s *site) interrupt(t *testing.T, open func(*testing.T) (near, far *os.File), sig syscall.Signal, text, name string, args ...string) {
	near, far := open(t)
	scratch := t.TempDir()
	var out output
	cmd := exec.Command(programs.Path(name), args...)
	cmd.Env = append(programs.Env(s.Home.Dir), "TMPDIR="+scratch)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = far, &out, &out
	cmd.WaitDelay = time.Second
	if _, err := io.WriteString(near, text); err != nil {
		t.Fatal(err)
	}
	if err := harness.Wait("the text", time.Minute, func() bool { return waiting(t, far) > 0 }); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	// It has what we wrote, so its handler for signals is in place too.
	if err := harness.Wait("the program to read", time.Minute, func() bool { return waiting(t, far) == 0 }); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	begin := time.Now()
	cmd.Process.Signal(sig)
	select {
	case <-done:
	case <-time.After(time.Minute):
		cmd.Process.Kill()
		<-done
		t.Fatalf("it does not end\n%s", out.String())
	}
	if code := cmd.ProcessState.ExitCode(); code != 75 {
		t.Errorf("it ended with %v after %v\n%s", cmd.ProcessState, time.Since(begin), out.String())
	}
	if left, _ := filepath.Glob(scratch + "/*"); len(left) > 0 {
		t.Errorf("left %q", left)
	}
}

// waiting is how many octets nobody has read yet. Fd would change the mode of
// the open file, which the program has too.
func waiting(t *testing.T, f *os.File) (n int) {
	t.Helper()
	raw, err := f.SyscallConn()
	if err == nil {
		failed := raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
		err = errors.Join(err, failed)
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// output is what a program prints, read while it runs.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

func pipe(t *testing.T) (near, far *os.File) {
	t.Helper()
	far, near, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}

// terminal opens a new pseudo terminal.
func terminal(t *testing.T) (near, far *os.File) {
	t.Helper()
	near, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close() })
	n, err := unix.IoctlGetInt(int(near.Fd()), unix.TIOCGPTN) // of the terminal alone, which the program has not
	if err == nil {
		err = unix.IoctlSetPointerInt(int(near.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	if far, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	return near, far
}
