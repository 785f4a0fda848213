package submit

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/home"
	"paperpath/internal/input"
	"paperpath/internal/sendmail"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// answer listens on run/submit and gives each connection to the next of do, and all
// further ones to the last.
func answer(t *testing.T, h *home.Home, do ...func(net.Conn)) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(h.Dir, sendmail.Socket))
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
	return letter(t, h).Post()
}

// letter is a message to bob.
func letter(t *testing.T, h *home.Home) *sendmail.Caller {
	t.Helper()
	in, err := os.CreateTemp(t.TempDir(), "message")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	io.WriteString(in, strings.Replace(testMessage, "\n.", "\n..\n.dot\nlast", 1))
	in.Seek(0, io.SeekStart)
	return caller(t, h, in)
}

// caller hands in a message to bob from a file.
func caller(t *testing.T, h *home.Home, in *os.File) *sendmail.Caller {
	return &sendmail.Caller{Options: sendmail.Options{Recipients: []string{"bob"}, IgnoreDots: true}, Home: h.Dir, Now: h.Clock.Now(),
		Stdin: input.Until(t.Context(), in), Stderr: io.Discard, Begun: h.GiveUpRoot}
}

// A caller whose message is not there yet leaves the server to others, and comes again.
func TestACallerThatWaitsComesAgain(t *testing.T) {
	h, _ := newHome(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	left := func(conn net.Conn) {
		says("220 mx.example.net ESMTP", "250-mx.example.net\n250-X-DOMAIN example.net\n250 X-USER me")(conn)
		if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the caller keeps the connection: %v", err)
		}
		io.WriteString(w, "Subject: late\n\nx\n")
		w.Close()
	}
	answer(t, h, left, says(), says("421 4.3.2 service shutting down"), served(t, h)) // it is started again meanwhile
	c := caller(t, h, r)
	c.Away = 20 * time.Second
	if err := c.Post(); err != nil || len(entries(t, h, spool.InboxCheck)) != 1 {
		t.Errorf("%v, check/ holds %+v", err, entries(t, h, spool.InboxCheck))
	}
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
	for name, do := range map[string]func(net.Conn){
		"nothing":         says(),
		"not SMTP":        says("HTTP/1.1 400 Bad Request"),
		"another server":  says("220 mx.example.net ESMTP", "250-mx.example.net\n250 SIZE 1"),
		"a hostile name":  says("220 mx.example.net\x01 ESMTP", hello),
		"broken settings": says("421 4.3.5 service not available"),
		"gone at MAIL":    says("220 mx.example.net ESMTP", hello),
		"gone at RCPT":    says("220 mx.example.net ESMTP", hello, "250 2.1.0 ok"),
		"gone at DATA":    says("220 mx.example.net ESMTP", hello, "250 2.1.0 ok", "250 2.1.5 ok"),
		"gone in DATA":    says("220 mx.example.net ESMTP", hello, "250 2.1.0 ok", "250 2.1.5 ok", "354 go"),
		"no true answer":  says("220 mx.example.net ESMTP", hello, "250 2.1.0 ok", "250 2.1.5 ok", "354 go", "354 go"),
	} {
		t.Run(name, func(t *testing.T) {
			h, _ := newHome(t)
			answer(t, h, do)
			if err := handIn(t, h); status.Exit(err) != status.TempFail {
				t.Errorf("status %d: %v", status.Exit(err), err)
			}
		})
	}
}

// A server that is being started again is waited for.
func TestCallersWaitForARestart(t *testing.T) {
	h, _ := newHome(t)
	server := served(t, h)
	hello := says("220 mx.example.net ESMTP", "250-mx.example.net\n250-X-DOMAIN example.net\n250 X-USER me")
	path := filepath.Join(h.Dir, sendmail.Socket)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var met []string
	err := sendmail.Again(t.Context, 20*time.Second, func() error { // each try changes what the next one meets
		c, err := sendmail.Dial(h.Dir)
		switch {
		case errors.Is(err, unix.ECONNREFUSED):
			met = append(met, "nobody listens")
			os.Remove(path)
		case errors.Is(err, fs.ErrNotExist):
			met = append(met, "no socket")
			// For the caller below: the server hangs up, ends, serves.
			answer(t, h, hello, says(), says("421 4.3.2 service shutting down"), server)
		case err == nil:
			c.Close()
		}
		return err
	})
	if want := []string{"nobody listens", "no socket"}; err != nil || !slices.Equal(met, want) {
		t.Fatalf("%v, met %q, want %q", err, met, want)
	}
	m := letter(t, h)
	m.Away = 20 * time.Second
	err = m.Post()
	if err != nil || len(entries(t, h, spool.InboxCheck)) != 1 {
		t.Fatalf("%v, check/ holds %+v", err, entries(t, h, spool.InboxCheck))
	}
}

// A server whose settings cannot be read is not waited for as one that is busy: a person has
// to mend them first.
func TestCallersDoNotWaitForAPerson(t *testing.T) {
	h, _ := newHome(t)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Listen(ctx, h, Local, []string{"unix:" + sendmail.Socket}, nil) }()
	first := letter(t, h)
	first.Away = 20 * time.Second // it is being started
	if err := first.Post(); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(h.Dir, "control", "concurrency"), 0o700); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	err := handIn(t, h)
	if took := time.Since(begin); status.Exit(err) != status.TempFail || took > 30*time.Second {
		t.Errorf("%v after %v", err, took)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
