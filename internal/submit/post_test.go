package submit

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"golang.org/x/sys/unix"

	"paperpath/internal/home"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// answer listens on run/submit and gives each connection to the next of do, and all
// further ones to the last.
func answer(t *testing.T, h *home.Home, do ...func(net.Conn)) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(h.Dir, socketName))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		for n := 0; ; n++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.SetDeadline(time.Now().Add(20 * time.Second))
			do[min(n, len(do)-1)](conn)
			conn.Close()
		}
	}()
}

// served serves a connection with the real server.
func served(t *testing.T, h *home.Home) func(net.Conn) {
	t.Helper()
	s, err := newServer(h, Local)
	if err != nil {
		t.Fatal(err)
	}
	return func(conn net.Conn) { s.serve(context.Background(), &home.Client{Conn: conn}) }
}

// says replies to each command with the next line, and then hangs up.
func says(lines ...string) func(net.Conn) {
	return func(conn net.Conn) {
		r := bufio.NewReader(conn)
		for i, line := range lines {
			if i > 0 {
				if _, err := r.ReadString('\n'); err != nil {
					return
				}
			}
			io.WriteString(conn, strings.ReplaceAll(line, "\n", "\r\n")+"\r\n")
		}
	}
}

// handIn posts a message to bob, and does not wait for a server.
func handIn(t *testing.T, h *home.Home) error {
	t.Helper()
	return letter(t, h).post(t.Context(), h.Dir, h.GiveUpRoot)
}

// letter is a message to bob.
func letter(t *testing.T, h *home.Home) *sendmail {
	t.Helper()
	in, err := os.CreateTemp(t.TempDir(), "message")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	io.WriteString(in, strings.Replace(testMessage, "\n.", "\n..\n.dot\nlast", 1))
	in.Seek(0, io.SeekStart)
	return &sendmail{Options: Options{Recipients: []string{"bob"}, IgnoreDots: true}, now: h.Clock.Now(), stdin: in}
}

func TestCallersWaitForABusyServer(t *testing.T) {
	h, _ := newHome(t)
	busy := says("421 4.7.0 service not available")
	answer(t, h, busy, busy, served(t, h), busy, served(t, h))
	if err := handIn(t, h); err != nil {
		t.Fatal(err)
	}
	list := entries(t, h, spool.InboxCheck)
	if len(list) != 1 {
		t.Fatalf("check/ holds %+v", list)
	}
	text, _ := os.ReadFile(filepath.Join(h.Dir, "spool/check/new", list[0].Name))
	if !strings.HasSuffix(string(text), "\nFrom: alice@example.net\nSubject: x\n\nhello\n..\n.dot\nlast\n") {
		t.Errorf("the entry is\n%s", text)
	}
}

// Whatever listens there, the error says that the message was not accepted.
func TestBrokenServers(t *testing.T) {
	const hello = "250-mx.example.net\n250-X-DOMAIN example.net\n250 X-USER me"
	good := says("220 mx.example.net ESMTP", hello)
	for name, do := range map[string]func(net.Conn){
		"nothing":         says(),
		"not SMTP":        says("HTTP/1.1 400 Bad Request"),
		"another server":  says("220 mx.example.net ESMTP", "250-mx.example.net\n250 SIZE 1"),
		"a hostile name":  says("220 mx.example.net\x01 ESMTP", hello),
		"broken settings": says("421 4.3.5 service not available"),
		"gone at MAIL":    good,
		"gone at RCPT":    says("220 mx.example.net ESMTP", hello, "250 2.1.0 ok"),
		"gone at DATA":    says("220 mx.example.net ESMTP", hello, "250 2.1.0 ok", "250 2.1.5 ok"),
		"gone in DATA":    says("220 mx.example.net ESMTP", hello, "250 2.1.0 ok", "250 2.1.5 ok", "354 go"),
		"no true answer":  says("220 mx.example.net ESMTP", hello, "250 2.1.0 ok", "250 2.1.5 ok", "354 go", "354 go"),
	} {
		t.Run(name, func(t *testing.T) {
			h, _ := newHome(t)
			answer(t, h, good, do)
			if strings.Contains(name, "no") || name == "a hostile name" || name == "broken settings" {
				h, _ = newHome(t)
				answer(t, h, do)
			}
			if err := handIn(t, h); status.Exit(err) != status.TempFail {
				t.Errorf("status %d: %v", status.Exit(err), err)
			}
		})
	}
}

func TestRefusalsKeepTheirStatus(t *testing.T) {
	for _, want := range []*status.Error{
		{Exit: status.NotAllowed, Reply: 550, Enhanced: "5.7.1", Text: "you may not"},
		status.Refuse("5.6.0", "not that"),
		{Exit: status.Refused, Reply: 552, Enhanced: "5.3.4", Text: "too large"},
		{Exit: status.NoMailbox, Reply: 550, Enhanced: "5.1.1", Text: "no such mailbox"},
		status.Temp("4.3.5", "later", nil),
		{Exit: status.TempFail, Reply: 452, Enhanced: "4.3.1", Text: "the disk is full"},
		status.UsageError("no recipients"),
	} {
		code, enhanced, text := status.Reply(want)
		e := &smtp.SMTPError{Code: code, Message: text + "\nand more"}
		fmt.Sscanf(enhanced, "%d.%d.%d", &e.EnhancedCode[0], &e.EnhancedCode[1], &e.EnhancedCode[2])
		got := replyError(e)
		if status.Exit(got) != want.Exit || got.Error() != want.Text {
			t.Errorf("%+v became %+v", want, got)
		}
	}
	if err := replyError(&smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 5, 3}, Message: "too many recipients"}); status.Exit(err) != status.Refused {
		t.Errorf("too many recipients: %v", err)
	}
}

// broken is a body that cannot be read beyond its first half.
type broken struct{ *strings.Reader }

func (b broken) ReadAt(p []byte, off int64) (int, error) {
	if half := b.Size() / 2; off >= half {
		return 0, io.ErrUnexpectedEOF
	}
	return b.Reader.ReadAt(p[:min(int64(len(p)), b.Size()/2-off)], off)
}

func TestData(t *testing.T) {
	const whole = ".\n..a\n\n.b"
	long := strings.Repeat("line\n", 100000)
	for _, tt := range []struct {
		name string
		body spool.Body
		want string
		fail bool
	}{
		{"dots, no line end", strings.NewReader(whole), "..\r\n...a\r\n\r\n..b\r\n.\r\n", false},
		{"long", strings.NewReader(long), strings.ReplaceAll(long, "\n", "\r\n") + ".\r\n", false},
		// The final dot would make the half a message.
		{"unreadable", broken{strings.NewReader(long)}, strings.ReplaceAll(long[:len(long)/2], "\n", "\r\n"), true},
	} {
		near, far := net.Pipe()
		sent := make(chan string)
		go func() { sent <- takesData(far) }()
		c := newClient(near)
		_, err := c.data(tt.body)
		c.Close()
		got := <-sent
		if tt.fail { // the rest is still in the buffer
			tt.want = tt.want[:min(len(got), len(tt.want))]
		}
		if got != tt.want || (err != nil) != tt.fail {
			t.Errorf("%s: %d octets, want %d, %v", tt.name, len(got), len(tt.want), err)
		}
	}
}

// takesData answers DATA and the final dot, and returns the text.
func takesData(c net.Conn) string {
	var text strings.Builder
	r := bufio.NewReader(c)
	r.ReadString('\n')
	io.WriteString(c, "354 go on\r\n")
	for {
		line, err := r.ReadString('\n')
		text.WriteString(line)
		if err != nil {
			return text.String()
		}
		if line == ".\r\n" {
			io.WriteString(c, "250 2.0.0 ok\r\n")
		}
	}
}

// A server that is being started again is waited for: before the message is read, and after
// it too. One that listens but may not be reached is not.
func TestCallersWaitForARestart(t *testing.T) {
	h, _ := newHome(t)
	server := served(t, h)
	hello := says("220 mx.example.net ESMTP", "250-mx.example.net\n250-X-DOMAIN example.net\n250 X-USER me")
	path := filepath.Join(h.Dir, socketName)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var met []string
	err := again(t.Context(), 20*time.Second, func() error { // each try changes what the next one meets
		c, err := connectOnce(h.Dir)
		switch {
		case errors.Is(err, unix.ECONNREFUSED):
			met = append(met, "nobody listens")
			os.Remove(path)
		case errors.Is(err, fs.ErrNotExist):
			met = append(met, "no socket")
			// For the caller below: the server hangs up, says hello, hangs up, ends, serves.
			answer(t, h, hello, says(), hello, says(), says("421 4.3.2 service shutting down"), server)
		case err == nil:
			c.Close()
		}
		return err
	})
	if want := []string{"nobody listens", "no socket"}; err != nil || !slices.Equal(met, want) {
		t.Fatalf("%v, met %q, want %q", err, met, want)
	}
	m := letter(t, h)
	m.away = 20 * time.Second
	err = m.post(t.Context(), h.Dir, h.GiveUpRoot)
	if err != nil || len(entries(t, h, spool.InboxCheck)) != 1 {
		t.Fatalf("%v, check/ holds %+v", err, entries(t, h, spool.InboxCheck))
	}
	for _, err := range []error{status.Temp("4.3.0", "", unix.EACCES), &status.Error{Reply: 421, Enhanced: "4.3.5"}} {
		if got := tryFor(err, time.Minute); got >= 0 {
			t.Errorf("%v is tried again for %v", err, got)
		}
	}
}

// A server whose settings cannot be read is not waited for as one that is busy: a person has
// to mend them first.
func TestCallersDoNotWaitForAPerson(t *testing.T) {
	h, _ := newHome(t)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Listen(ctx, h, Local, []string{"unix:" + socketName}, nil) }()
	first := letter(t, h)
	first.away = 20 * time.Second // it is being started
	if err := first.post(ctx, h.Dir, h.GiveUpRoot); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(h.Dir, "control", "concurrency"), 0o700); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	err := handIn(t, h)
	if took := time.Since(begin); status.Exit(err) != status.TempFail || took > busyTimeout/2 {
		t.Errorf("%v after %v", err, took)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
