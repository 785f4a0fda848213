package submit

import (
	"bufio"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/home"
	"paperpath/internal/smtpd"
)

// unixConn is a connection to ourselves, as run/submit has it.
func unixConn(t *testing.T) net.Conn {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	near, far := os.NewFile(uintptr(fds[0]), "near"), os.NewFile(uintptr(fds[1]), "far")
	conn, err := net.FileConn(near)
	near.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(); far.Close() })
	return conn
}

// A client of run/submit that is silent for 30 seconds, anywhere in a session, makes
// room for others; one that started this process (sendmail -bs) has the time of
// RFC 5321 4.5.3.2.7. The settings and the session are those of a Unix socket, but
// the conversation goes through a pipe, so that it can be in a synctest bubble.
func TestSilenceOnRunSubmit(t *testing.T) {
	h, _ := newHome(t)
	for name, tt := range map[string]struct {
		listening bool
		want      time.Duration
		commands  []string
	}{
		"at the start":           {true, 30 * time.Second, nil},
		"inside a transaction":   {true, 30 * time.Second, []string{"EHLO x", "MAIL FROM:<alice@example.net>", "RCPT TO:<bob@example.net>"}},
		"on our own input":       {false, 5 * time.Minute, nil},
		"on our own input, EHLO": {false, 5 * time.Minute, []string{"EHLO x"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := newServer(h, Local)
			if err != nil {
				t.Fatal(err)
			}
			client := &home.Client{Conn: unixConn(t), Listening: tt.listening}
			cfg, err := s.config(client)
			if err != nil {
				t.Fatal(err)
			}
			sess, err := s.openLocal(client, &cfg)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				if last, took := silence(t, cfg, sess, tt.commands); took != tt.want || !strings.HasPrefix(last, "421 4.4.2 ") {
					t.Errorf("%q after %v, want 421 after %v", last, took, tt.want)
				}
			})
		})
	}
}

// silence sends the commands, then nothing, and returns the last line that comes and
// how long it took.
func silence(t *testing.T, cfg smtpd.Config, sess smtpd.Session, commands []string) (last string, took time.Duration) {
	client, server := net.Pipe()
	go func() {
		smtpd.Serve(t.Context(), server, cfg, func(*smtpd.Conn) smtpd.Session { return sess })
		server.Close()
	}()
	r := bufio.NewReader(client)
	reply := func() string {
		for {
			line, err := r.ReadString('\n')
			if err != nil || len(line) < 4 || line[3] != '-' {
				return line
			}
		}
	}
	reply() // the greeting
	for _, c := range commands {
		time.Sleep(20 * time.Second) // the time begins anew with each
		if _, err := io.WriteString(client, c+"\r\n"); err != nil {
			t.Fatal(err)
		}
		if last = reply(); last[0] != '2' {
			t.Fatalf("%s: %s", c, last)
		}
	}
	begin := time.Now()
	last = reply()
	took = time.Since(begin)
	if _, err := r.ReadByte(); err != io.EOF {
		t.Errorf("the connection stays: %v", err)
	}
	return last, took
}
