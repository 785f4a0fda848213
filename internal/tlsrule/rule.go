// Package tlsrule decides which TLS a session with another host must have, and says why.
//
// There is one place for that, Decider.Rule, whatever the reason: a row of
// control/tls-policy, a route with a login, REQUIRETLS or TLS-Required (RFC 8689). What a
// host could do earlier is the Ratchet's, which is asked only once a session would be
// worse than that: so sessions do not differ by what is remembered.
package tlsrule

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"paperpath/internal/control"
)

// Rule is what TLS a session with a host must have. Rules are comparable; sessions whose
// rules are equal may be shared.
type Rule struct {
	control.TLSPolicy      // Where says who demands it, and Names is never empty
	Named             bool // Names come from our settings and not from an MX record
}

// String is the rule with its reason, as events and errors name it.
func (r Rule) String() string { return r.Text() + " (" + r.Where + ")" }

// Text is the rule without its reason.
func (r Rule) Text() string {
	if r.Level != control.TLSVerify {
		r.Names = ""
	}
	return r.TLSPolicy.String()
}

// Ratcheted reports whether a host is held to the TLS that it had: not where a person, or
// the message, has decided.
func (r Rule) Ratcheted() bool { return r.Where == byDefault }

// byDefault is the Where of a rule that nobody has set.
const byDefault = "default"

// Config returns how to begin TLS. The certificate is checked behind the handshake, so
// that a wrong one can be named.
func (r Rule) Config(host string) *tls.Config {
	c := &tls.Config{ServerName: host, InsecureSkipVerify: true, MinVersion: max(r.Min, tls.VersionTLS12)}
	if r.Level != control.TLSVerify && r.Level != control.TLSFingerprint {
		// Where anybody may be the host, an old key exchange is better than none.
		for _, suite := range tls.CipherSuites() {
			c.CipherSuites = append(c.CipherSuites, suite.ID)
		}
		c.CipherSuites = append(c.CipherSuites,
			tls.TLS_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_RSA_WITH_AES_256_CBC_SHA, tls.TLS_RSA_WITH_AES_128_CBC_SHA)
	}
	return c
}

// Check says how a connection in TLS does not meet the rule. distrust says why its
// certificate does not prove who the host is, also where nothing demands that.
func (r Rule) Check(st tls.ConnectionState, roots *x509.CertPool, now time.Time) (distrust, err error) {
	switch {
	case len(st.PeerCertificates) == 0:
		distrust = errors.New("it has no certificate")
	case r.Level == control.TLSFingerprint:
		distrust = r.pinned(st.PeerCertificates[0])
	default:
		distrust = r.certified(st.PeerCertificates, roots, now)
	}
	if r.Level == control.TLSVerify || r.Level == control.TLSFingerprint {
		return distrust, distrust
	}
	return distrust, nil
}

// pinned says why a certificate has none of the rule's fingerprints.
func (r Rule) pinned(leaf *x509.Certificate) error {
	whole, key := Fingerprints(leaf)
	for _, pin := range strings.Fields(r.Pins) {
		if pin == whole || pin == key {
			return nil
		}
	}
	return fmt.Errorf("the fingerprint of its certificate is %s, that of its key %s", whole, key)
}

// Fingerprints returns the SHA-256 of a certificate and of its public key, in hex.
func Fingerprints(c *x509.Certificate) (whole, key string) {
	a, b := sha256.Sum256(c.Raw), sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(a[:]), hex.EncodeToString(b[:])
}

// certified says why a chain does not prove one of the rule's names.
func (r Rule) certified(chain []*x509.Certificate, roots *x509.CertPool, now time.Time) error {
	o := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool(), CurrentTime: now}
	for _, c := range chain[1:] {
		o.Intermediates.AddCert(c)
	}
	if _, err := chain[0].Verify(o); err != nil {
		return fmt.Errorf("its certificate: %w", err)
	}
	for _, name := range strings.Fields(r.Names) {
		if suits(chain[0], name) {
			return nil
		}
	}
	return fmt.Errorf("its certificate is for %s, not for %s", namesOf(chain[0]),
		strings.ReplaceAll(r.Names, " ", " or "))
}

// suits reports whether a certificate is for a name: a host's, or any below a domain that
// is written with a dot in front.
func suits(c *x509.Certificate, name string) bool {
	parent, any := strings.CutPrefix(name, ".")
	if !any {
		return c.VerifyHostname(name) == nil
	}
	for _, has := range c.DNSNames {
		if has = strings.ToLower(strings.TrimSuffix(has, ".")); strings.HasSuffix(has, "."+parent) {
			return true
		}
	}
	return false
}

// namesOf lists some of the names of a certificate.
func namesOf(c *x509.Certificate) string {
	names := c.DNSNames
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	switch n := len(names); {
	case n == 0:
		return "no name"
	case n > 5:
		names = append(names[:5:5], fmt.Sprintf("%d more", n-5))
	}
	return strings.Join(names, ", ")
}
