package relay

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"paperpath/internal/control"
	"paperpath/internal/status"
	"paperpath/internal/tlsrule"
	"paperpath/internal/visible"
)

// probed probes what --via would name.
func probed(t *testing.T, l *lab, via string) (*Probe, error) {
	t.Helper()
	route, err := ParseVia(via)
	if err != nil {
		t.Fatal(err)
	}
	return l.Probe(context.Background(), route.Targets[0])
}

// TestProbe: what is seen of a host, whatever it is, and how that ends.
func TestProbe(t *testing.T) {
	offers := func(words string) func(int, string) string {
		return func(_ int, command string) string {
			if strings.HasPrefix(command, "EHLO") {
				return "250-peer.example\r\n250 " + words
			}
			return ""
		}
	}
	for _, c := range []struct {
		name  string
		reply func(int, string) string
		exit  int
		lines string // a part of the text
	}{
		{"no TLS", offers("SIZE 10"), 0, "greeting: 220 peer.example ESMTP\nwe say: EHLO mx.example.net\nit says: 250-peer.example\nit says: 250 SIZE 10\nstarttls: not offered\nquit: 221 bye\n=> the session worked"},
		{"HELO", always("EHLO", "502 what"), 0, "it says: 250 2.0.0 ok\nstarttls: not offered"},
		{"greeting 4xx", always("", "421 4.3.2 later"), 75, "greeting: 421 4.3.2 later"},
		{"greeting 521", always("", "521 no mail here"), 69, "greeting: 521 no mail here"},
		{"greeting closes", always("", hangUp), 75, "greeting: it closed the connection"},
		{"EHLO 4xx", always("EHLO", "451 later"), 75, "=> 127.0.0.1:"},
		{"terminal", always("EHLO", "250-\x1b[2J\x9b\r\n250 \x07"), 0, `it says: 250-\x1b[2J\x9b` + "\n" + `it says: 250 \x07`},
		{"STARTTLS refused", func(n int, command string) string {
			if command == "STARTTLS" {
				return "454 4.7.0 not now"
			}
			return offers("STARTTLS")(n, command)
		}, 75, "starttls: STARTTLS: 454 4.7.0 not now\nquit: 221 bye\n=> 127.0.0.1:"},
		{"STARTTLS to nothing", func(n int, command string) string {
			if command == "STARTTLS" {
				return "220 go\r\nnot TLS"
			}
			return offers("STARTTLS")(n, command)
		}, 75, "starttls: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, p := newLab(t), newPeer(t, c.reply)
			got, err := probed(t, l, p.addr)
			text := strings.Join(got.Lines(), "\n")
			if status.Exit(err) != c.exit || !strings.Contains(text, c.lines) {
				t.Errorf("exit %d, want %d (%v):\n%s\nhas not %q", status.Exit(err), c.exit, err, text, c.lines)
			}
			for _, verb := range []string{"MAIL", "RCPT", "DATA"} {
				if p.count(verb) > 0 {
					t.Errorf("it said %s", verb)
				}
			}
		})
	}
}

// TestProbeNames: names are looked up, and addresses that are down are passed over.
func TestProbeNames(t *testing.T) {
	l, p := newLab(t), newPeer(t, kind)
	if got, err := probed(t, l, "none.example"); status.Exit(err) != 69 || got.Outcome != "the host none.example has no address" {
		t.Errorf("%+v, %v", got, err)
	}
	l.host("two.example", "192.0.2.1", nil)
	l.host("two.example", "192.0.2.2", p)
	got, err := probed(t, l, "two.example")
	if err != nil || len(got.Unreachable) != 1 || !strings.Contains(got.Unreachable[0], "two.example [192.0.2.1]:25: connect: ") || got.Address != "192.0.2.2:25" {
		t.Errorf("%+v, %v", got, err)
	}
	delete(l.w.peers, "192.0.2.2:25")
	if got, err := probed(t, l, "two.example"); status.Exit(err) != 75 || len(got.Unreachable) != 2 || got.Address != "" {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestProbeImplicitTLS: a port that does not begin with TLS is a failure with words.
func TestProbeImplicitTLS(t *testing.T) {
	l, p := newLab(t), newPeer(t, kind)
	got, err := probed(t, l, "tls:"+p.addr)
	if status.Exit(err) != 75 || !strings.Contains(got.Outcome, p.addr+": TLS handshake: ") || got.Address != p.addr {
		t.Errorf("%+v, %v", got, err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", serverTLS(t))
	if err != nil {
		t.Fatal(err)
	}
	good := peerOn(t, ln, kind)
	got, err = probed(t, l, "tls:"+good.addr)
	if err != nil || got.Certificate == nil || got.Greeting != "220 peer.example ESMTP" {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestProbeCertificate: the certificate is shown as control/tls-policy wants its
// fingerprints, and its names can do nothing to a terminal.
func TestProbeCertificate(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	from := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	of := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: from.AddDate(20, 0, 0), IsCA: true, BasicConstraintsValid: true,
		Subject: pkix.Name{CommonName: "\x1b[2Jpeer"}, DNSNames: []string{"peer.example", "two.example"}}
	der, err := x509.CreateCertificate(rand.Reader, of, of, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	l := newLab(t)
	newServer(t, l, func(s *smtp.Server) {
		s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	})
	route, err := l.Control.Route("elsewhere.example")
	if err != nil {
		t.Fatal(err)
	}
	got, err := l.Probe(context.Background(), route.Targets[0])
	if err != nil || got.TLS.Version != "TLS 1.3" || len(got.HelloInTLS) == 0 || got.StartTLS != "accepted" {
		t.Fatalf("%+v, %v", got, err)
	}
	c := got.Certificate
	if whole, key := tlsrule.Fingerprints(leaf); c.SHA256 != whole || c.Key != key || strings.Join(c.Names, " ") != "peer.example two.example" ||
		!c.From.Equal(from) || c.Verified || c.Distrust == "" {
		t.Errorf("%+v", c)
	}
	for _, print := range []string{c.SHA256, c.Key} {
		if _, err := control.ParseTLSPolicy("here", "fingerprint "+print); err != nil {
			t.Errorf("%s: %v", print, err)
		}
	}
	for _, line := range got.Lines() {
		if strings.ContainsAny(visible.Line(line), "\x1b\r\n") {
			t.Errorf("%q", line)
		}
	}
	if text := strings.Join(got.Lines(), "\n"); !strings.Contains(text, "valid: 2026-01-02T03:04:05Z to 2046-01-02T03:04:05Z\nverified: no: ") {
		t.Errorf("%s", text)
	}
}
