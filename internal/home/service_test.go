package home

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/internal/certs"
	"paperpath/internal/control"
	"paperpath/internal/maillog"
	"paperpath/internal/rights"
	"paperpath/internal/status"
)

// newService is a service that writes to the client what it did.
func newService(t *testing.T) (*Service, *bytes.Buffer) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "control"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "control", "hostname"), []byte("mx.example.net\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	h := &Home{Place: rights.Place{Name: "mailsubmit", Dir: dir}, Control: control.Open(dir, time.Now), Log: maillog.To(&log, "mailsubmit", time.Now)}
	return &Service{Home: h,
		Open: func() (Handler, error) {
			return func(_ context.Context, c *Client) error {
				_, err := io.WriteString(c.Conn, "served\n")
				return err
			}, nil
		},
		Unavailable: func(conn net.Conn, err error) { io.WriteString(conn, "unavailable "+err.Error()+"\n") },
	}, &log
}

// selfSigned makes a self-signed certificate and its key, and returns their
// directory.
func selfSigned(t *testing.T, s *Service) string {
	t.Helper()
	pair := filepath.Join(s.Home.Dir, "control", "tls", "mx.example.net")
	if err := os.MkdirAll(pair, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := certs.SelfSigned(pair, "mx.example.net", []string{"mx.example.net"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	return pair
}

// A SIGHUP while a pair is half written does not end TLS: the one before stays in use
// until the next valid one.
func TestServiceKeepsTheCertificate(t *testing.T) {
	s, log := newService(t)
	pair := selfSigned(t, s)
	key, err := os.ReadFile(filepath.Join(pair, "privkey.pem"))
	if err != nil {
		t.Fatal(err)
	}
	put := func(text []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(pair, "privkey.pem"), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	first, err := s.open(&serving{})
	if err != nil || first.tls == nil {
		t.Fatal(first, err)
	}
	put([]byte("junk"))
	broken, err := s.open(first)
	if err != nil || broken.tls != first.tls {
		t.Fatalf("%v; the certificate before serves on: %v", err, broken.tls == first.tls)
	}
	for _, want := range []string{"op=certificate", "control/tls/mx.example.net"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %s in the log:\n%s", want, log)
		}
	}
	put(key)
	whole, err := s.open(broken)
	if err != nil || whole.tls == nil || whole.tls == first.tls {
		t.Errorf("%v; the new pair serves: %v", err, whole.tls != first.tls)
	}
}

// What the client sees, and what the program does, if there is just one client.
func TestServiceOne(t *testing.T) {
	broken := errors.New("broken")
	for _, tt := range []struct {
		name      string
		change    func(*Service)
		pair      bool // a certificate
		implicit  bool
		said      string
		want      string // of the error
		interrupt bool
	}{
		{name: "served", said: "served\n"},
		{name: "settings", change: func(s *Service) { s.Open = func() (Handler, error) { return nil, broken } },
			said: "unavailable broken\n", want: "broken"},
		{name: "settings, TLS", change: func(s *Service) { s.Open = func() (Handler, error) { return nil, broken } },
			implicit: true, want: "broken"},
		{name: "no certificate", implicit: true, want: "--tls needs a certificate in control/tls"},
		{name: "a certificate", implicit: true, pair: true, said: "served\n"},
		{name: "no session", change: func(s *Service) {
			s.Open = func() (Handler, error) { return func(context.Context, *Client) error { return broken }, nil }
		}, said: "unavailable broken\n", want: "broken"},
		{name: "a signal", interrupt: true, said: "served\n", want: ErrInterrupted.Error()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := newService(t)
			if tt.change != nil {
				tt.change(s)
			}
			if tt.pair {
				selfSigned(t, s)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if tt.interrupt {
				cancel()
			}
			near, far := net.Pipe()
			said := make(chan string)
			go func() {
				text, _ := io.ReadAll(near)
				said <- string(text)
			}()
			err := s.One(ctx, far, tt.implicit)
			far.Close()
			text := ""
			if err != nil {
				text = err.Error()
			}
			if got := <-said; got != tt.said || text != tt.want || (err == nil) == (tt.interrupt || tt.want != "") {
				t.Errorf("said %q, want %q; error %v, want %q", got, tt.said, err, tt.want)
			}
		})
	}
	if status.Exit(ErrInterrupted) != status.TempFail {
		t.Error("an interrupted session is not temporary")
	}
}

// A service without TLS does not load a certificate.
func TestServiceWithoutTLS(t *testing.T) {
	s, _ := newService(t)
	selfSigned(t, s)
	s.NoTLS = true
	if now, err := s.open(&serving{}); err != nil || now.tls != nil {
		t.Errorf("TLS %v, %v", now.tls, err)
	}
}
