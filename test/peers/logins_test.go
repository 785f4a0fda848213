package peers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/test/harness"
)

// mailrelay logs in at other servers by each mechanism that they have; a wrong password
// or token defers, with the server's words.
func TestLoginsAtServers(t *testing.T) {
	for name, c := range map[string]struct {
		run        func(*testing.T, *harness.Home) loginServer
		mechanisms string
		best       string // without a row mechanism
		external   bool   // a client certificate is a login by EXTERNAL; else it is one without AUTH
	}{
		"postfix and dovecot": {postfixWithLogins, "PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256 OAUTHBEARER XOAUTH2", "SCRAM-SHA-256", false},
		"exim":                {eximWithLogins, "PLAIN LOGIN CRAM-MD5", "CRAM-MD5", true},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHome(t)
			roots, _, _ := certify(t, h, "login.example")
			at := c.run(t, h)
			for _, mechanism := range append(strings.Fields(c.mechanisms), "") {
				logsIn(t, h, at.starttls, mechanism, c.best)
			}
			set(t, h, "tls-policy", "far.example: verify name=login.example")
			set(t, h, "tls-roots", roots)
			for _, via := range []string{at.starttls, "tls:" + at.implicit} {
				logsIn(t, h, via, "PLAIN", "")
				if sent := h.Events("event=relayed"); !strings.Contains(sent[len(sent)-1], "verified=yes") {
					t.Errorf("%s: %s", via, sent[len(sent)-1])
				}
				byCertificate(t, h, via, at.client, c.external)
			}
		})
	}
}

// byCertificate sends a message with the client certificate of alice as the login, and
// with one that the server does not know.
func byCertificate(t *testing.T, h *harness.Home, via, known string, external bool) {
	t.Helper()
	stranger := filepath.Join(t.TempDir(), "stranger.pem")
	writePair(t, stranger, alice)
	for _, pair := range []string{known, stranger} {
		text := "certificate: " + pair + "\n"
		if external {
			text += "mechanism: EXTERNAL\n"
		}
		writeLogin(t, h, text)
		before := len(h.Events("event=relay"))
		out, err := programs.Run(h.Dir, strings.NewReader("Subject: x\n\nx\n"), "mailrelay", "--from", alice,
			"--to", "x@far.example", "--via", via)
		if err != nil {
			t.Fatal(err)
		}
		events := strings.Join(h.Events("event=relay")[before:], "\n")
		switch {
		case pair == known && (out.Status != 0 || external && !strings.Contains(events, "mech=EXTERNAL")):
			t.Errorf("%s: %d, %s\n%s", via, out.Status, out.Stderr, events)
		case pair == stranger && out.Status != 75:
			t.Errorf("%s: a stranger's certificate: %d, %s\n%s", via, out.Status, out.Stderr, events)
		}
	}
}

// logsIn sends a message with the right secret, and with a wrong one.
func logsIn(t *testing.T, h *harness.Home, addr, mechanism, best string) {
	t.Helper()
	secret, row := harness.Password, ""
	if mechanism != "" {
		row = "mechanism: " + mechanism + "\n"
	}
	if strings.Contains(mechanism, "OAUTH") {
		secret = token
	}
	if mechanism == "" {
		mechanism = best
	}
	for _, right := range []bool{true, false} {
		if !right {
			secret = "wrong" + secret
		}
		writeLogin(t, h, "user: "+alice+"\npassword: "+secret+"\n"+row)
		before := len(h.Events("event=relay-login"))
		out, err := programs.Run(h.Dir, strings.NewReader("Subject: x\n\nx\n"), "mailrelay", "--from", alice,
			"--to", "x@far.example", "--via", addr)
		if err != nil {
			t.Fatal(err)
		}
		want, exit := "event=relay-login ", 0
		if !right {
			want, exit = "event=relay-login-failed ", 75
		}
		events := h.Events("event=relay-login")
		if len(events) != before+1 || !strings.Contains(events[before], want) || !strings.Contains(events[before], "mech="+mechanism) ||
			!right && !strings.Contains(events[before], "535") || out.Status != exit {
			t.Errorf("%s, right %v: %d, %s\n%s", mechanism, right, out.Status, out.Stderr, strings.Join(events[before:], "\n"))
		}
		if text := out.Stderr + strings.Join(events, ""); strings.Contains(text, secret) {
			t.Errorf("%s: the secret is in %s", mechanism, text)
		}
	}
}

// writeLogin writes the login at the servers of the test. It also ends the rest of one
// that was refused.
func writeLogin(t *testing.T, h *harness.Home, text string) {
	t.Helper()
	path := filepath.Join(h.Dir, "control/relay-logins/127.0.0.1")
	err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600))
	if err != nil {
		t.Fatal(err)
	}
}

// writePair writes a client certificate of a name, which nobody but itself vouches for,
// with its key, and alone into a file .crt. It returns its SHA-256 as Postfix has it.
func writePair(t *testing.T, path, name string) (fingerprint string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	crt := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	err = errors.Join(os.WriteFile(path+".crt", crt, 0o644), os.WriteFile(path,
		append(crt, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(der)
	return strings.Trim(strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":"), ":")
}
