package tlsrule

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/internal/control"
)

// authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{t: t, key: newKey(t)}
	a.cert = a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotAfter: time.Now().Add(time.Hour)}, nil, a.key)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a *authority) sign(c, parent *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	a.t.Helper()
	if parent == nil {
		parent = c
	}
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	c.NotBefore = time.Now().Add(-24 * time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return made
}

// host returns the certificate of a host.
func (a *authority) host(ends time.Duration, names ...string) *x509.Certificate {
	a.t.Helper()
	c := &x509.Certificate{NotAfter: time.Now().Add(ends), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, name)
		}
	}
	return a.sign(c, a.cert, newKey(a.t))
}

func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

func verifying(names string) Rule {
	return Rule{TLSPolicy: control.TLSPolicy{Level: control.TLSVerify, Names: names}}
}

// TestCheck: which certificates meet which rule, and in which words.
func TestCheck(t *testing.T) {
	a, other := newAuthority(t, "ours"), newAuthority(t, "another")
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	good := a.host(time.Hour, "mx.example.net", "192.0.2.1", "2001:db8::1")
	whole, key := Fingerprints(good)
	pinned := func(pins string) Rule {
		return Rule{TLSPolicy: control.TLSPolicy{Level: control.TLSFingerprint, Pins: pins}}
	}
	for name, c := range map[string]struct {
		rule Rule
		cert *x509.Certificate
		want string // "": it meets the rule
	}{
		"name":                  {verifying("mx.example.net"), good, ""},
		"name, other case":      {verifying("mx.example.net"), a.host(time.Hour, "MX.Example.NET"), ""},
		"IPv4":                  {verifying("192.0.2.1"), good, ""},
		"IPv6":                  {verifying("2001:db8::1"), good, ""},
		"wildcard":              {verifying("mx.example.net"), a.host(time.Hour, "*.example.net"), ""},
		"one of two names":      {verifying("a.example mx.example.net"), good, ""},
		"below a domain":        {verifying(".example.net"), good, ""},
		"far below a domain":    {verifying(".example.net"), a.host(time.Hour, "a.b.example.net"), ""},
		"wildcard below":        {verifying(".example.net"), a.host(time.Hour, "*.example.net"), ""},
		"the domain itself":     {verifying(".example.net"), a.host(time.Hour, "example.net"), "is for example.net, not for .example.net"},
		"only ends alike":       {verifying(".example.net"), a.host(time.Hour, "mx.badexample.net"), "is for mx.badexample.net, not for .example.net"},
		"another name":          {verifying("mx.example.org b.example"), good, "its certificate is for mx.example.net, 192.0.2.1, 2001:db8::1, not for mx.example.org or b.example"},
		"another address":       {verifying("192.0.2.2"), good, "not for 192.0.2.2"},
		"wildcard is one label": {verifying("a.mx.example.net"), a.host(time.Hour, "*.example.net"), "not for a.mx.example.net"},
		"no name":               {verifying("mx.example.net"), a.host(time.Hour), "is for no name"},
		"many names":            {verifying("x.example"), a.host(time.Hour, "1.a", "2.a", "3.a", "4.a", "5.a", "6.a", "7.a"), "1.a, 2.a, 3.a, 4.a, 5.a, 2 more"},
		"expired":               {verifying("mx.example.net"), a.host(-time.Minute, "mx.example.net"), "its certificate: x509: certificate has expired"},
		"unknown authority":     {verifying("mx.example.net"), other.host(time.Hour, "mx.example.net"), "signed by unknown authority"},
		"not of a server":       {verifying("mx.example.net"), a.cert, "not for mx.example.net"},
		"whole pinned":          {pinned("00 " + whole), good, ""},
		"key pinned":            {pinned(key), good, ""},
		"pin of an expired one": {pinned(key), good, ""},
		"another pinned":        {pinned(strings.Repeat("0", 64)), good, "the fingerprint of its certificate is " + whole + ", that of its key " + key},
		"any for encrypt":       {Rule{TLSPolicy: control.TLSPolicy{Level: control.TLSEncrypt}}, other.host(-time.Hour, "x"), ""},
		"any for may":           {Rule{TLSPolicy: control.TLSPolicy{Level: control.TLSMay}}, other.host(-time.Hour, "x"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			st := tls.ConnectionState{PeerCertificates: []*x509.Certificate{c.cert}}
			_, err := c.rule.Check(st, roots, time.Now())
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
	late := tls.ConnectionState{PeerCertificates: []*x509.Certificate{good}}
	if _, err := verifying("mx.example.net").Check(late, roots, time.Now().Add(2*time.Hour)); err == nil {
		t.Error("the clock does not count")
	}
	if _, err := verifying("mx.example.net").Check(tls.ConnectionState{}, roots, time.Now()); err == nil {
		t.Error("no certificate at all")
	}
	may := Rule{TLSPolicy: control.TLSPolicy{Level: control.TLSMay, Names: "mx.example.net"}}
	st := tls.ConnectionState{PeerCertificates: []*x509.Certificate{other.host(time.Hour, "mx.example.net")}}
	if distrust, err := may.Check(st, roots, time.Now()); distrust == nil || err != nil {
		t.Errorf("what nobody asks for is noted: %v, %v", distrust, err)
	}
}

// home is a Control with these files.
func home(t *testing.T, files map[string]string) (*control.Control, string) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"control", "run"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, "control", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return control.Open(dir, time.Now), dir
}

// TestRule: who decides the rule for a destination, a host and a message.
func TestRule(t *testing.T) {
	c, _ := home(t, map[string]string{"tls-policy": "enc.example: encrypt min=1.3\nver.example: verify\n" +
		"named.example: verify name=.x.example always\nno.example: none\nmay.example: may\n" +
		"hub.example: encrypt\npin.example: fingerprint " + strings.Repeat("0a", 32) + "\n"})
	d := &Decider{Control: c}
	for name, k := range map[string]struct {
		in        Case
		want      string
		named     bool
		ratcheted bool
	}{
		"nobody":           {Case{Domain: "x.example", Host: "mx.x.example"}, "may (default)", false, true},
		"nobody, routed":   {Case{Domain: "x.example", Host: "relay.example", Routed: true}, "may (default)", true, true},
		"row":              {Case{Domain: "enc.example", Host: "a"}, "encrypt min=1.3 (control/tls-policy:1)", false, false},
		"the host's name":  {Case{Domain: "ver.example", Host: "mx.a"}, "verify name=mx.a (control/tls-policy:2)", false, false},
		"our name":         {Case{Domain: "named.example", Host: "mx.a"}, "verify name=.x.example always (control/tls-policy:3)", true, false},
		"none":             {Case{Domain: "no.example", Host: "a"}, "none (control/tls-policy:4)", false, false},
		"a row may":        {Case{Domain: "may.example", Host: "a"}, "may (control/tls-policy:5)", false, false},
		"host of a route":  {Case{Domain: "x.example", Host: "hub.example", Routed: true}, "encrypt (control/tls-policy:6)", true, false},
		"the same, by MX":  {Case{Domain: "x.example", Host: "hub.example"}, "may (default)", false, true},
		"pinned":           {Case{Domain: "pin.example", Host: "a"}, "fingerprint (control/tls-policy:7)", true, false},
		"route with login": {Case{Domain: "x.example", Host: "smart.a", Routed: true, Trust: "control/routes:3", Login: true}, "verify name=smart.a (control/routes:3)", true, false},
		"its row":          {Case{Domain: "x.example", Host: "hub.example", Routed: true, Trust: "control/routes:3"}, "encrypt (control/tls-policy:6)", true, false},

		"No":               {Case{Domain: "x.example", Host: "a", Optional: true}, "may (TLS-Required: No)", false, false},
		"No lifts":         {Case{Domain: "enc.example", Host: "a", Optional: true}, "may (TLS-Required: No lifts encrypt min=1.3 (control/tls-policy:1))", false, false},
		"No, always":       {Case{Domain: "named.example", Host: "a", Optional: true}, "verify name=.x.example always (control/tls-policy:3)", true, false},
		"No, none":         {Case{Domain: "no.example", Host: "a", Optional: true}, "none (control/tls-policy:4)", false, false},
		"No with a login":  {Case{Domain: "x.example", Host: "s", Routed: true, Trust: "r:1", Login: true, Optional: true}, "verify name=s (r:1)", true, false},
		"No, tls:":         {Case{Domain: "x.example", Host: "s", Routed: true, Trust: "r:1", Optional: true}, "may (TLS-Required: No lifts verify name=s (r:1))", true, false},
		"No, REQUIRETLS":   {Case{Domain: "enc.example", Host: "a", Optional: true, Required: true}, "encrypt min=1.3 (control/tls-policy:1)", false, false},
		"none, REQUIRETLS": {Case{Domain: "no.example", Host: "a", Required: true}, "may (REQUIRETLS lifts control/tls-policy:4)", false, false},
	} {
		r, err := d.Rule(k.in)
		if err != nil || r.String() != k.want || r.Named != k.named || r.Ratcheted() != k.ratcheted {
			t.Errorf("%s: %s, named %v, ratcheted %v, %v; want %+v", name, r, r.Named, r.Ratcheted(), err, k)
		}
	}
	over, err := control.ParseTLSPolicy("--tls", "verify name=b.example")
	if err != nil {
		t.Fatal(err)
	}
	d.Over = over
	if r, err := d.Rule(Case{Domain: "no.example", Host: "a"}); err != nil || r.String() != "verify name=b.example (--tls)" {
		t.Errorf("%s %v", r, err)
	}
}

// TestGroup: domains that one route serves go together if their rows are the same.
func TestGroup(t *testing.T) {
	c, _ := home(t, map[string]string{"tls-policy": ".a.example: encrypt\nb.example: encrypt\n.: may\n"})
	d := &Decider{Control: c}
	got := map[string]string{}
	for _, domain := range []string{"x.a.example", "y.a.example", "b.example", "c.example", "d.example"} {
		g, err := d.Group(domain)
		if err != nil {
			t.Fatal(err)
		}
		got[domain] = g
	}
	if got["x.a.example"] != got["y.a.example"] || got["c.example"] != got["d.example"] ||
		got["x.a.example"] == got["b.example"] || got["b.example"] == got["c.example"] {
		t.Errorf("%v", got)
	}
}

// TestRoots: a changed file counts at once, and a broken one is temporary.
func TestRoots(t *testing.T) {
	a, b := newAuthority(t, "a"), newAuthority(t, "b")
	c, dir := home(t, nil)
	d := &Decider{Control: c}
	if pool, err := d.Roots(); pool != nil || err != nil {
		t.Error(pool, err)
	}
	path := filepath.Join(dir, "ca.pem")
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(dir, "control", "tls-roots"), path+"\n")
	trusts := func(who *authority) bool {
		t.Helper()
		pool, err := d.Roots()
		if err != nil {
			t.Fatal(err)
		}
		_, err = who.host(time.Hour, "x.example").Verify(x509.VerifyOptions{Roots: pool})
		return err == nil
	}
	if _, err := d.Roots(); err == nil {
		t.Error("the file is missing")
	}
	write(path, "nothing")
	if _, err := d.Roots(); err == nil || !strings.Contains(err.Error(), "no certificate") {
		t.Errorf("%v", err)
	}
	write(path, string(a.pem()))
	for range 2 {
		if !trusts(a) || trusts(b) {
			t.Error("a alone is trusted")
		}
		old := time.Now().Add(-time.Hour)
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	write(path, string(b.pem()))
	if trusts(a) || !trusts(b) {
		t.Error("b alone is trusted")
	}
}
