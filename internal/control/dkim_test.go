package control

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"strings"
	"testing"
)

// keyText is a private key in PEM.
func keyText(t *testing.T, kind string, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if rsaKey, ok := key.(*rsa.PrivateKey); ok && kind == "RSA PRIVATE KEY" {
		der = x509.MarshalPKCS1PrivateKey(rsaKey)
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// newKeys returns the texts of an Ed25519 key, of an RSA key in the form of other
// programs, and of a key that DKIM does not have.
func newKeys(t *testing.T) (ed, rsaText, odd string) {
	t.Helper()
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	oddKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return keyText(t, "PRIVATE KEY", edKey), keyText(t, "RSA PRIVATE KEY", rsaKey), keyText(t, "PRIVATE KEY", oddKey)
}

// The nearest domain with a list decides, and a key that cannot be read is an error that
// names its file.
func TestDKIMKeys(t *testing.T) {
	ed, rsaText, _ := newKeys(t)
	f := newFixture(t, map[string]string{
		"dkim/example.org/active":           "# since May\nr\n\ne\n",
		"dkim/example.org/r.pem":            rsaText,
		"dkim/example.org/e.pem":            ed,
		"dkim/example.org/old.pem":          ed,
		"dkim/off.example.org/active":       "",
		"dkim/two.example/active":           "r\nr\n",
		"dkim/up.example/active":            "../r\n",
		"dkim/gone.example/active":          "e\ngone\n",
		"dkim/gone.example/e.pem":           ed,
		"dkim/bad.example/active":           "e\n",
		"dkim/bad.example/e.pem":            "hello\n",
		"dkim/many.example/active":          "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\n",
		"dkim/xn--bcher-kva.example/active": "e\n",
		"dkim/xn--bcher-kva.example/e.pem":  ed,
	})
	for domain, want := range map[string]string{
		"example.org":         "r of example.org, control/dkim/example.org/active:2; e of example.org, control/dkim/example.org/active:4",
		"EXAMPLE.org":         "r of example.org, control/dkim/example.org/active:2; e of example.org, control/dkim/example.org/active:4",
		"a.b.example.org":     "r of example.org, control/dkim/example.org/active:2; e of example.org, control/dkim/example.org/active:4",
		"off.example.org":     "",
		"x.off.example.org":   "",
		"badexample.org":      "",
		"org":                 "",
		"":                    "",
		"../example.org":      "",
		"[192.0.2.1]":         "",
		"b\u00fccher.example": "e of xn--bcher-kva.example, control/dkim/xn--bcher-kva.example/active:1",
	} {
		keys, err := f.DKIMKeys(domain)
		var got []string
		for _, k := range keys {
			got = append(got, k.Selector+" of "+k.Domain+", "+k.Where)
		}
		if s := strings.Join(got, "; "); err != nil || s != want {
			t.Errorf("%s: %s, %v, want %s", domain, s, err, want)
		}
	}
	for domain, want := range map[string]string{
		"two.example":  "control/dkim/two.example/active:2: \"r\" is already in line 1",
		"up.example":   "control/dkim/up.example/active:1: \"../r\" is not a selector",
		"gone.example": "control/dkim/gone.example/active:2: there is no key gone.pem",
		"bad.example":  "control/dkim/bad.example/e.pem: there is no key in PEM in it",
		"many.example": "control/dkim/many.example/active:11: more than 10 selectors",
	} {
		_, err := f.DKIMKeys(domain)
		wantError(t, err, want)
	}
}

// Without the directory nobody signs.
func TestNoDKIM(t *testing.T) {
	if keys, err := newFixture(t, nil).DKIMKeys("example.org"); keys != nil || err != nil {
		t.Errorf("%v, %v", keys, err)
	}
}

// What is wrong in control/dkim, and what is in force.
func TestCheckDKIM(t *testing.T) {
	ed, _, odd := newKeys(t)
	f := newFixture(t, map[string]string{
		"hostname":                 "mx.example.org\n",
		"domains":                  "example.org\n",
		"users":                    "",
		"dkim/example.org/active":  "e\ngone\n",
		"dkim/example.org/e.pem":   ed,
		"dkim/example.org/odd.pem": odd,
		"dkim/example.org/x.key":   "x\n",
		"dkim/example.org/x.pem~":  "x\n",
		"dkim/example.net/e.pem":   "x\n",
		"dkim/Example.com/active":  "",
		"dkim/readme":              "",
		"dkim/.new":                "",
	})
	for name, mode := range map[string]os.FileMode{"dkim": 0o750, "dkim/example.org/e.pem": 0o640,
		"dkim/example.org/odd.pem": 0o600, "dkim/example.net/e.pem": 0o600} {
		if err := os.Chmod(f.path(name), mode); err != nil {
			t.Fatal(err)
		}
	}
	r := f.Check()
	want := strings.ReplaceAll(`warning: control/dkim: others than its owner have access to it (chmod 700 HOME/control/dkim)
error: control/dkim/Example.com: is not the directory of a domain (in lower case, with A-labels)
error: control/dkim/example.net/e.pem: there is no key in PEM in it
warning: control/dkim/example.org/e.pem: others than its owner have access to it (chmod 600 HOME/control/dkim/example.org/e.pem)
error: control/dkim/example.org/odd.pem: not an RSA or Ed25519 key
error: control/dkim/example.org/x.key: unknown setting (keys are SELECTOR.pem, see control(5))
error: control/dkim/example.org/active:2: there is no key gone.pem (mailctl dkim new makes keys)
error: control/dkim/readme: is not the directory of a domain (in lower case, with A-labels)`, "HOME", f.Home())
	if got := strings.Join(said(r), "\n"); got != want {
		t.Errorf("the findings are\n%s\nwant\n%s", got, want)
	}
	inForce := ""
	for _, v := range r.InForce {
		if v.Setting == "dkim" {
			inForce += v.Key + ": " + v.Text + " (" + v.From + ")"
		}
	}
	if inForce != "example.org: e gone (control/dkim/example.org/active)" {
		t.Errorf("in force: %s", inForce)
	}
}
