package wire

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// certificate returns the settings of a server and of a client that trusts it.
func certificate(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	defer s.Close()
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return &tls.Config{Certificates: s.TLS.Certificates}, &tls.Config{RootCAs: pool, ServerName: "example.com"}
}

// A command that was sent in clear text after STARTTLS, in the same segment, is not run
// inside TLS (CVE-2011-0411).
func TestStartTLSDiscards(t *testing.T) {
	server, trust := certificate(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	clear, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer clear.Close()
	served, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c := New(served, Options{Buffer: 4096, WriteTimeout: bound,
		Limit: func() Limit { return Limit{At: time.Now().Add(bound), Why: errIdle} }})
	defer c.Close()
	done := make(chan error, 1)
	go func() {
		if _, err := io.WriteString(clear, "STARTTLS\r\nINJECTED\r\n"); err != nil {
			done <- err
			return
		}
		if reply, err := bufio.NewReader(clear).ReadString('\n'); reply != "220\r\n" {
			done <- err
			return
		}
		secure := tls.Client(clear, trust)
		io.WriteString(secure, "FIRST\r\n")
		_, err := io.Copy(io.Discard, secure)
		done <- err
	}()
	line, _, err := c.Line(CRLF, 100, 0)
	if string(line) != "STARTTLS\r\n" || err != nil || string(c.Buffered()) != "INJECTED\r\n" {
		t.Fatalf("%q, %v, then %q", line, err, c.Buffered())
	}
	c.Out = append(c.Out, "220\r\n"...)
	if state, err := c.StartTLS(t.Context(), server); err != nil || !state.HandshakeComplete {
		t.Fatal(err)
	}
	if line, _, err := c.Line(CRLF, 100, 0); string(line) != "FIRST\r\n" || err != nil {
		t.Errorf("the first command inside TLS is %q, %v", line, err)
	}
	c.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A handshake ends with the limit in force; asking for the limit again does not end it.
func TestStartTLSLimit(t *testing.T) {
	bubble(t, "silent client", func(t *testing.T) {
		begin := time.Now()
		c, _ := pair(t, Options{Limit: func() Limit { return Limit{At: begin.Add(time.Minute), Why: errIdle, Recheck: true} }})
		_, err := c.StartTLS(t.Context(), new(tls.Config))
		if !errors.Is(err, errIdle) || time.Since(begin) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
	})
	bubble(t, "shutdown", func(t *testing.T) {
		begin, why := time.Now(), errIdle
		at := begin.Add(time.Hour)
		c, _ := pair(t, Options{Limit: func() Limit { return Limit{At: at, Why: why} }})
		time.AfterFunc(time.Second, func() { c.Change(func() { at, why = time.Unix(1, 0), errStop }) })
		_, err := c.StartTLS(t.Context(), new(tls.Config))
		if !errors.Is(err, errStop) || time.Since(begin) != time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
	})
	bubble(t, "cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c, _ := pair(t, Options{})
		time.AfterFunc(time.Second, cancel)
		if _, err := c.StartTLS(ctx, new(tls.Config)); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	bubble(t, "no client", func(t *testing.T) {
		c, client := pair(t, Options{})
		client.Close()
		if _, err := c.StartTLS(t.Context(), new(tls.Config)); err == nil {
			t.Error("no error")
		}
		synctest.Wait()
	})
}
