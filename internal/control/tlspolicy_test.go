package control

import (
	"crypto/tls"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const pin = "2a:3b:4c:5d:6e:7f:80:91:a2:b3:c4:d5:e6:f7:08:19:2a:3b:4c:5d:6e:7f:80:91:a2:b3:c4:d5:e6:f7:08:19"

// TestTLSPolicy: the longest key counts, and the domain before the host of a route.
func TestTLSPolicy(t *testing.T) {
	f := newFixture(t, map[string]string{"tls-policy": "" +
		"Example.ORG: encrypt min=1.3\n" +
		".example.org: verify name=mx.example.net,.Example.Net always\n" +
		".deep.example.org: none\n" +
		"hub.example: fingerprint " + pin + " " + strings.ToUpper(strings.ReplaceAll(pin, ":", "")) + "\n" +
		".example: encrypt\n" +
		"[192.0.2.1]: may\n" +
		"bücher.example: may\n" +
		"[IPv6:2001:DB8::1]: encrypt\n"})
	plain := strings.ReplaceAll(pin, ":", "")
	hub := &TLSPolicy{Level: TLSFingerprint, Pins: plain + " " + plain, Min: tls.VersionTLS12, Where: "control/tls-policy:4"}
	for _, c := range []struct {
		domain, host string
		want         *TLSPolicy
	}{
		{"example.org", "", &TLSPolicy{Level: TLSEncrypt, Min: tls.VersionTLS13, Where: "control/tls-policy:1"}},
		{"a.example.org", "", &TLSPolicy{Level: TLSVerify, Names: "mx.example.net .example.net", Always: true,
			Min: tls.VersionTLS12, Where: "control/tls-policy:2"}},
		{"a.deep.example.org", "", &TLSPolicy{Level: TLSNone, Min: tls.VersionTLS12, Where: "control/tls-policy:3"}},
		{"other.test", "hub.example", hub},
		{"example.org", "hub.example", &TLSPolicy{Level: TLSEncrypt, Min: tls.VersionTLS13, Where: "control/tls-policy:1"}},
		{"a.example.org", "hub.example", hub},
		{"a.deep.example.org", "b.example", &TLSPolicy{Level: TLSNone, Min: tls.VersionTLS12, Where: "control/tls-policy:3"}},
		{"other.test", "b.example", &TLSPolicy{Level: TLSEncrypt, Min: tls.VersionTLS12, Where: "control/tls-policy:5"}},
		{"[192.0.2.1]", "", &TLSPolicy{Level: TLSMay, Min: tls.VersionTLS12, Where: "control/tls-policy:6"}},
		{"xn--bcher-kva.example", "", &TLSPolicy{Level: TLSMay, Min: tls.VersionTLS12, Where: "control/tls-policy:7"}},
		{"other.test", "192.0.2.1", &TLSPolicy{Level: TLSMay, Min: tls.VersionTLS12, Where: "control/tls-policy:6"}},
		{"other.test", "2001:db8::1", &TLSPolicy{Level: TLSEncrypt, Min: tls.VersionTLS12, Where: "control/tls-policy:8"}},
		{"other.test", "192.0.2.7", nil},
		{"other.test", "", nil},
	} {
		got, err := f.TLSPolicy(c.domain, c.host)
		if d := cmp.Diff(c.want, got); d != "" || err != nil {
			t.Errorf("%s by %q: %v\n%s", c.domain, c.host, err, d)
		}
	}
	f.write("tls-policy", ".: encrypt\nexample.org: verfy\n")
	if got, err := f.TLSPolicy("other.test", ""); err != nil || got == nil || got.Where != "control/tls-policy:1" {
		t.Errorf("%v %v", got, err)
	}
	for _, domain := range [][2]string{{"example.org", ""}, {"other.test", "example.org"}} {
		_, err := f.TLSPolicy(domain[0], domain[1])
		wantError(t, err, `control/tls-policy:2: "verfy" is not a level (did you mean verify?)`)
	}
}

func TestTLSPolicyText(t *testing.T) {
	for in, want := range map[string]string{
		"none": "none", "may": "may", "encrypt": "encrypt", "encrypt min=1.2": "encrypt",
		"verify min=1.3 name=.A.example always": "verify name=.a.example min=1.3 always",
	} {
		list, err := parseTLSPolicy("x:1", "example.org: "+in)
		if err != nil || list[0].row.String() != want {
			t.Errorf("%s: %v %v", in, list, err)
		}
	}
}

func TestTLSRatchet(t *testing.T) {
	for in, want := range map[string]TLSRatchet{"off": {}, "30d": {Time: 30 * 24 * time.Hour},
		"2h verify": {Time: 2 * time.Hour, Verify: true}} {
		if got, wrong := parseRatchet(in); got != want || wrong != "" {
			t.Errorf("%s: %+v %s", in, got, wrong)
		}
	}
	for _, in := range []string{"", "0", "30", "59m", "30d vrfy", "30d verify x", "off verify"} {
		if got, wrong := parseRatchet(in); wrong == "" {
			t.Errorf("%q: %+v", in, got)
		}
	}
	if r, err := newFixture(t, nil).TLSRatchet(); err != nil || r.Time != 30*24*time.Hour || r.Verify {
		t.Errorf("default: %+v %v", r, err)
	}
}

func TestTLSRoots(t *testing.T) {
	for in, want := range map[string]string{"": "", "system\n": "", "/etc/ssl//ca.pem\n": "/etc/ssl/ca.pem"} {
		f := newFixture(t, map[string]string{"tls-roots": in})
		if in == "" {
			f = newFixture(t, nil)
		}
		if path, err := f.TLSRoots(); path != want || err != nil {
			t.Errorf("%q: %q %v", in, path, err)
		}
	}
}
