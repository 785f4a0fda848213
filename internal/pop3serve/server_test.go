package pop3serve

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"paperpath/internal/certs"
	"paperpath/internal/home"
	"paperpath/internal/maillog"
	"paperpath/internal/pop3"
	"paperpath/internal/rights"
	"paperpath/internal/status"
)

// events collects the log of a server.
type events struct {
	mu   sync.Mutex
	text bytes.Buffer
	line chan string
}

func (e *events) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	select {
	case e.line <- string(p):
	default:
	}
	return e.text.Write(p)
}

func (e *events) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.text.String()
}

func newHome(t *testing.T, files map[string]string) (*home.Home, *events) {
	t.Helper()
	c := testHome(t, files)
	log := &events{line: make(chan string, 100)}
	return &home.Home{Place: rights.Place{Name: "pop3d", Dir: c.Home()}, Control: c, Log: maillog.To(log, "pop3d", time.Now)}, log
}

// throughPipes runs a session as a wrapper with pipes does.
func throughPipes(t *testing.T, h *home.Home, implicit bool, input string) (output string, err error) {
	t.Helper()
	in, toServer := pipe(t)
	fromServer, out := pipe(t)
	h.Stdin, h.Stdout = in, out
	if _, err := toServer.WriteString(input); err != nil {
		t.Fatal(err)
	}
	toServer.Close()
	err = Stdin(context.Background(), h, implicit, "")
	out.Close()
	all, _ := io.ReadAll(fromServer)
	return string(all), err
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

func TestStdin(t *testing.T) {
	h, log := newHome(t, nil)
	got, err := throughPipes(t, h, false, "USER alice\r\nPASS first\r\nQUIT\r\n")
	if err != nil {
		t.Error(err)
	}
	want := "+OK mx.example.net Paperpath POP3 ready\r\n+OK send PASS\r\n+OK 0 messages\r\n+OK goodbye\r\n"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !strings.Contains(log.String(), "client=stdin login=alice@example.net") {
		t.Errorf("log:\n%s", log)
	}
}

// Trouble of our own is answered in the protocol, but not where the client waits for
// TLS. The error, which the program prints or logs, has the reason.
func TestStdinTrouble(t *testing.T) {
	const reply = "-ERR [SYS/TEMP] temporary failure, please try again later\r\n"
	for name, row := range map[string]struct {
		files          map[string]string
		implicit       bool
		reply, problem string
	}{
		"no hostname":    {files: map[string]string{"control/hostname": "absent"}, reply: reply, problem: "control/hostname"},
		"broken limits":  {files: map[string]string{"control/limits": "errors: many\n"}, reply: reply, problem: "control/limits:1"},
		"no certificate": {implicit: true, problem: "needs a certificate"},
	} {
		h, _ := newHome(t, row.files)
		got, err := throughPipes(t, h, row.implicit, "QUIT\r\n")
		if got != row.reply {
			t.Errorf("%s: got %q", name, got)
		}
		if status.Exit(err) != status.TempFail || !strings.Contains(err.Error(), row.problem) {
			t.Errorf("%s: error %q", name, err)
		}
	}
}

// control/limits may allow more errors than the default; fewer are for SMTP alone.
func TestErrorsOfASession(t *testing.T) {
	for text, want := range map[string]int{"": pop3.DefaultMaxErrors, "errors: 3\n": pop3.DefaultMaxErrors, "errors: 30\n": 30} {
		h, _ := newHome(t, map[string]string{"control/limits": text})
		s, err := newServer(h)
		if err != nil {
			t.Fatal(err)
		}
		var cfg pop3.Config
		if err := s.settings(&cfg); err != nil || cfg.MaxErrors != want {
			t.Errorf("%q: %d errors, %v, want %d", text, cfg.MaxErrors, err, want)
		}
	}
}

var listening = regexp.MustCompile(`event=listening .*addr="?([0-9.]+:[0-9]+)`)

// listenOn runs a server and returns its first address.
func listenOn(t *testing.T, h *home.Home, log *events, addrs, tlsAddrs []string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Listen(ctx, h, addrs, tlsAddrs) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Listen: %v", err)
		}
	})
	late := time.After(20 * time.Second)
	for {
		select {
		case line := <-log.line:
			if m := listening.FindStringSubmatch(line); m != nil {
				return m[1]
			}
		case err := <-done:
			done <- err
			t.Fatalf("Listen: %v", err)
		case <-late:
			t.Fatal("the server does not listen")
		}
	}
}

func TestListen(t *testing.T) {
	h, log := newHome(t, nil)
	conn, err := net.Dial("tcp", listenOn(t, h, log, []string{"127.0.0.1:0"}, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "USER alice\r\nPASS first\r\nQUIT\r\n")
	all, err := io.ReadAll(bufio.NewReader(conn))
	if err != nil || !strings.HasSuffix(string(all), "+OK 0 messages\r\n+OK goodbye\r\n") {
		t.Errorf("got %q, %v", all, err)
	}
	if !strings.Contains(log.String(), "client=127.0.0.1 login=alice@example.net") {
		t.Errorf("log:\n%s", log)
	}
}

func TestListenTLS(t *testing.T) {
	h, log := newHome(t, nil)
	dir := h.Dir + "/control/tls/mx.example.net"
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	err := certs.SelfSigned(dir, "mx.example.net", []string{"mx.example.net"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	dialer := &net.Dialer{Timeout: 20 * time.Second}
	conn, err := tls.DialWithDialer(dialer, "tcp", listenOn(t, h, log, nil, []string{"127.0.0.1:0"}),
		&tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	io.WriteString(conn, "CAPA\r\nQUIT\r\n")
	all, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(all), "+OK mx.example.net") || !strings.Contains(string(all), "\r\nUSER\r\nSASL PLAIN LOGIN") {
		t.Errorf("got %q, %v", all, err)
	}
}

func TestListenTLSWithoutCertificate(t *testing.T) {
	h, _ := newHome(t, nil)
	err := Listen(context.Background(), h, nil, []string{"127.0.0.1:0"})
	if status.Exit(err) != status.TempFail {
		t.Errorf("Listen: %v", err)
	}
}
