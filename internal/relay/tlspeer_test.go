package relay

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"paperpath/internal/maillog"
)

// offersTLS is a peer that offers STARTTLS outside TLS. reply may decide what is said
// inside; secure begins TLS.
func offersTLS(t *testing.T, secure func(int, net.Conn) net.Conn, reply func(command string) string) *peer {
	t.Helper()
	var mu sync.Mutex
	hellos := map[int]int{}
	p := newPeer(t, func(n int, command string) string {
		mu.Lock()
		defer mu.Unlock()
		if strings.HasPrefix(command, "EHLO") {
			hellos[n]++
		}
		switch {
		case hellos[n] > 1 && reply != nil:
			return reply(command)
		case hellos[n] == 1 && strings.HasPrefix(command, "EHLO"):
			return "250-peer.example\r\n250 STARTTLS"
		}
		return ""
	})
	p.secure = secure
	return p
}

// accepts begins TLS as a host should.
func accepts(conf *tls.Config) func(int, net.Conn) net.Conn {
	return func(_ int, c net.Conn) net.Conn {
		s := tls.Server(c, conf)
		if s.Handshake() != nil {
			return nil
		}
		return s
	}
}

// where returns how many messages the peer was given outside TLS, and inside.
func (p *peer) where() (clear, secure int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.commands {
		if strings.HasPrefix(c, "MAIL") {
			clear++
		}
	}
	for _, c := range p.inside {
		if strings.HasPrefix(c, "MAIL") {
			secure++
		}
	}
	return clear - secure, secure
}

// cutAfter is a connection that is closed after that many octets are written.
type cutAfter struct {
	net.Conn
	left int
}

func (c *cutAfter) Write(b []byte) (int, error) {
	if len(b) < c.left {
		c.left -= len(b)
		return c.Conn.Write(b)
	}
	n, _ := c.Conn.Write(b[:c.left])
	c.Conn.Close()
	return n, io.ErrClosedPipe
}

// breaks are the ways in which TLS ends between the 220 and the reply to the EHLO in it.
func breaks(conf *tls.Config) map[string]func(int, net.Conn) net.Conn {
	hello := func(c net.Conn) { c.Read(make([]byte, 4096)) }
	raw := func(answer string) func(int, net.Conn) net.Conn {
		return func(_ int, c net.Conn) net.Conn {
			hello(c)
			fmt.Fprint(c, answer)
			return nil
		}
	}
	old := conf.Clone()
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	odd := conf.Clone()
	odd.MaxVersion, odd.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_RSA_WITH_RC4_128_SHA}
	strict := conf.Clone()
	strict.ClientAuth = tls.RequireAnyClientCert
	m := map[string]func(int, net.Conn) net.Conn{
		"closed at once":        func(int, net.Conn) net.Conn { return nil },
		"closed at its hello":   raw(""),
		"reset":                 func(_ int, c net.Conn) net.Conn { hello(c); c.(*net.TCPConn).SetLinger(0); return nil },
		"garbage":               raw("this is no TLS at all, or is it?"),
		"SMTP":                  raw("454 4.7.0 TLS not available\r\n"),
		"alert":                 raw("\x15\x03\x03\x00\x02\x02\x28"),
		"half a record":         raw("\x16\x03\x03\x40\x00\x02"),
		"silence":               func(_ int, c net.Conn) net.Conn { io.Copy(io.Discard, c); return nil },
		"only old versions":     accepts(old),
		"no common cipher":      accepts(odd),
		"wants our certificate": accepts(strict),
		"closed inside":         func(n int, c net.Conn) net.Conn { accepts(conf)(n, c); return nil },
		"garbage inside":        func(n int, c net.Conn) net.Conn { accepts(conf)(n, c); c.Write([]byte("garbage\r\n")); return nil },
		"alert after the EHLO": func(n int, c net.Conn) net.Conn {
			s := accepts(conf)(n, c)
			hello(s)
			c.Write([]byte("\x15\x03\x03\x00\x02\x02\x28"))
			return nil
		},
		"no SMTP inside": func(n int, c net.Conn) net.Conn { s := accepts(conf)(n, c); s.Write([]byte("hello\r\n")); return nil },
		"reset after the EHLO": func(n int, c net.Conn) net.Conn {
			s := accepts(conf)(n, c)
			hello(s)
			c.(*net.TCPConn).SetLinger(0)
			return nil
		},
		"half a reply inside TLS": func(n int, c net.Conn) net.Conn {
			s := accepts(conf)(n, c)
			hello(s)
			fmt.Fprint(s, "250-peer\r\n25")
			return nil
		},
	}
	for _, n := range []int{1, 5, 50, 200, 700} {
		m[fmt.Sprintf("cut after %d octets", n)] = func(s int, c net.Conn) net.Conn {
			accepts(conf)(s, &cutAfter{c, n})
			return nil
		}
	}
	return m
}

// rsaCertificate is a certificate with the kind of key that an old key exchange needs.
func rsaCertificate(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func leafOf(t *testing.T, c *tls.Config) *x509.Certificate {
	t.Helper()
	leaf, err := x509.ParseCertificate(c.Certificates[0].Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

// logged sends a message and writes the event of the stage for it.
func (l *lab) logged(to string) error {
	m := l.message(letter, to)
	done := m.Done
	m.Done = func(taken []int, by maillog.Remote, reply string) {
		done(taken, by, reply)
		l.Log.Relayed(m.Key, to, by, reply)
	}
	return l.sendMessage(m)[0].Err
}
