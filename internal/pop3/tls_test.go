package pop3

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

var selfSigned = sync.OnceValues(func() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"mx.example.net"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
})

func testTLS(t *testing.T) *tls.Config {
	t.Helper()
	cert, err := selfSigned()
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
}

// talk is a client that reads and writes in turn, as TLS needs it.
type talk struct {
	net.Conn
	t    *testing.T
	host *host // the server
}

func (c *talk) send(s string) {
	c.t.Helper()
	if _, err := c.Write([]byte(s)); err != nil {
		c.t.Fatal(err)
	}
}

// want reads a line, byte by byte so that nothing after it is lost.
func (c *talk) want(prefix string) {
	c.t.Helper()
	var line []byte
	one := make([]byte, 1)
	for !bytes.HasSuffix(line, crlf) {
		if _, err := c.Read(one); err != nil {
			c.t.Fatalf("read after %q: %v", line, err)
		}
		line = append(line, one...)
	}
	if !strings.HasPrefix(string(line), prefix) {
		c.t.Fatalf("got %q, want %q", line, prefix)
	}
}

// wantEnd checks that the server hangs up.
func (c *talk) wantEnd() {
	c.t.Helper()
	if n, err := c.Read(make([]byte, 1)); err == nil || n > 0 {
		c.t.Fatal("the session goes on")
	}
}

func (c *talk) handshake(config *tls.Config) error {
	client := tls.Client(c.Conn, config)
	c.Conn = client
	return client.Handshake()
}

func startTalk(t *testing.T, setup string, change func(*Config)) *talk {
	t.Helper()
	h := newHost(t, strings.Split(setup, "\n"))
	if change != nil {
		change(&h.cfg)
	}
	// A TCP connection: both sides may write at once, as in a handshake that fails.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ours, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- Serve(context.Background(), theirs, h.cfg) }()
	t.Cleanup(func() {
		ours.Close()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	ours.SetDeadline(time.Now().Add(20 * time.Second))
	return &talk{Conn: ours, t: t, host: h}
}

func insecure() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }

func TestSTLS(t *testing.T) {
	c := startTalk(t, "network", nil)
	c.want("+OK")
	c.send("STLS\r\n")
	c.want("+OK begin TLS")
	if err := c.handshake(insecure()); err != nil {
		t.Fatal(err)
	}
	c.send("STLS\r\n")
	c.want("-ERR TLS is already active")
	c.send("CAPA\r\n")
	for _, line := range []string{"+OK", "USER", "SASL PLAIN LOGIN", "TOP"} {
		c.want(line)
	}
	for _, line := range []string{"UIDL", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE", "UTF8 USER", "LANG", "EXPIRE", "IMPLEMENTATION", "."} {
		c.want(line)
	}
	c.send("USER alice\r\nPASS secret\r\nQUIT\r\n")
	for _, line := range []string{"+OK send PASS", "+OK 0", "+OK goodbye"} {
		c.want(line)
	}
	c.wantEnd()
}

// A command sent in clear text after STLS is not run inside TLS, and a name given
// before is forgotten.
func TestSTLSForgets(t *testing.T) {
	c := startTalk(t, "notls", func(cfg *Config) { cfg.TLS = testTLS(t) })
	c.want("+OK")
	c.send("USER alice\r\nSTLS\r\nUSER bob\r\nSTAT\r\nQUIT\r\n")
	c.want("+OK send PASS")
	c.want("+OK begin TLS")
	if err := c.handshake(insecure()); err != nil {
		t.Fatal(err)
	}
	c.send("PASS secret\r\n")
	c.want("-ERR send USER first")
	c.send("QUIT\r\n")
	c.want("+OK goodbye")
	c.wantEnd()
}

func TestSTLSWithGarbageEnds(t *testing.T) {
	c := startTalk(t, "network", nil)
	c.want("+OK")
	c.send("STLS\r\n")
	c.want("+OK begin TLS")
	c.send("USER alice\r\nPASS secret\r\n")
	for {
		if _, err := c.Read(make([]byte, 512)); err != nil {
			return // an alert came, then the end
		}
	}
}

func TestImplicitTLS(t *testing.T) {
	c := startTalk(t, "network", func(cfg *Config) { cfg.Implicit = true })
	if err := c.handshake(insecure()); err != nil {
		t.Fatal(err)
	}
	c.want("+OK mx.example.net")
	c.send("USER alice\r\nPASS secret\r\nQUIT\r\n")
	for _, line := range []string{"+OK", "+OK 0", "+OK"} {
		c.want(line)
	}
	c.wantEnd()
}

// A browser that was tricked into connecting offers its own protocols.
func TestALPN(t *testing.T) {
	for protocol, accepted := range map[string]bool{"pop3": true, "http/1.1": false} {
		c := startTalk(t, "network", func(cfg *Config) { cfg.Implicit = true })
		config := insecure()
		config.NextProtos = []string{protocol}
		if err := c.handshake(config); (err == nil) != accepted {
			t.Errorf("handshake with ALPN %s: %v", protocol, err)
		}
	}
}
