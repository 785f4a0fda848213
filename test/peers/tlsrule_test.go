package peers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/test/harness"
)

// Postfix and Exim with a certificate of an authority of the test: each TLS rule lets mail
// through or makes it wait, as control/tls-policy says.
func TestTLSRules(t *testing.T) {
	for _, name := range []string{"postfix", "exim"} {
		t.Run(name, func(t *testing.T) {
			unpacked(t, name)
			sink, err := harness.NewSink("ok")
			if err != nil {
				t.Fatal(err)
			}
			defer sink.Close()
			h := newHome(t)
			host := name + ".example"
			roots, whole, key := certify(t, h, host)
			p := servers[name](t, h, sink.Addr)
			set(t, h, "routes", far+": "+p.addr)
			pins := strings.Repeat("0", 64)
			for _, c := range []struct{ rule, roots, want string }{ // want: of the event
				{"may", "system", `event=relayed .* tls="TLS1.3 .* verified=no rule="may`},
				{"encrypt min=1.3", "system", `event=relayed .* rule="encrypt min=1.3 (control/tls-policy:1)"`},
				{"verify name=" + host, "system", `event=untrusted .* reason="its certificate: x509: certificate signed by unknown authority`},
				{"verify name=" + host, roots, `event=relayed .* verified=yes rule="verify name=` + host},
				{"verify name=.example", roots, `event=relayed .* verified=yes`},
				{"verify name=other.example", roots, `event=untrusted .* reason="its certificate is for ` + host},
				{"verify", roots, `event=untrusted .* not for 127.0.0.1"`},
				{"fingerprint " + pins + " " + whole, "system", `event=relayed .* verified=yes rule="fingerprint`},
				{"fingerprint " + key, "system", `event=relayed .* verified=yes rule="fingerprint`},
				{"fingerprint " + pins, roots, `event=untrusted .* reason="the fingerprint of its certificate is ` + whole},
			} {
				set(t, h, "tls-policy", far+": "+c.rule)
				set(t, h, "tls-roots", c.roots)
				before := h.Events("")
				res, err := programs.Run(h.Dir, strings.NewReader("Subject: "+c.rule+"\n\nx\n"), "mailrelay", "--from", alice, "--to", "dora@"+far)
				if err != nil {
					t.Fatal(err)
				}
				exit := 0
				if strings.HasPrefix(c.want, "event=untrusted") {
					exit = 75
				}
				if res.Status != exit {
					t.Errorf("%s: exit status %d, want %d: %s", c.rule, res.Status, exit, res.Stderr)
				}
				events := strings.Join(h.Events("")[len(before):], "\n")
				for _, want := range strings.Split(c.want, " .* ") {
					if !strings.Contains(events, want) {
						t.Errorf("%s: no %s in\n%s", c.rule, want, events)
					}
				}
			}
		})
	}
}

// certify gives the home, whose certificate the servers use, one for host that an
// authority of the test has signed. It returns the file of the authority, and the
// fingerprints of the certificate and its key.
func certify(t *testing.T, h *harness.Home, host string) (roots, whole, key string) {
	t.Helper()
	newKey := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	ours, theirs := newKey(), newKey()
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority of the test"}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{host, harness.Hostname}, NotBefore: ca.NotBefore,
		NotAfter: ca.NotAfter, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	sign := func(c *x509.Certificate, of *ecdsa.PrivateKey) []byte {
		der, err := x509.CreateCertificate(rand.Reader, c, ca, &of.PublicKey, ours)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	write := func(path, kind string, der []byte) {
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	private, err := x509.MarshalPKCS8PrivateKey(theirs)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&theirs.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	der := sign(leaf, theirs)
	dir := filepath.Join(h.Dir, "control/tls", harness.Hostname)
	write(filepath.Join(dir, "privkey.pem"), "PRIVATE KEY", private)
	write(filepath.Join(dir, "fullchain.pem"), "CERTIFICATE", der)
	roots = filepath.Join(t.TempDir(), "ca.pem")
	write(roots, "CERTIFICATE", sign(ca, ours))
	a, b := sha256.Sum256(der), sha256.Sum256(public)
	return roots, hex.EncodeToString(a[:]), hex.EncodeToString(b[:])
}
