package tlsrule

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"os"
	"sync"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/status"
)

// Case is what a rule is decided for.
type Case struct {
	Domain string // of the recipients
	Host   string // a name, or an IP address
	Routed bool   // a route names the host
	Trust  string // "control/routes:3": a route with a login or tls:, which must verify; "": there is none
	Login  bool   // a login goes over the session, so no message may lift its rule

	Required bool // the message has REQUIRETLS
	Optional bool // the message has TLS-Required: No (RFC 8689 5)
}

// Decider decides rules by the settings.
type Decider struct {
	Control *control.Control
	Over    *control.TLSPolicy // of the command line, in place of control/tls-policy; nil: none

	mu    sync.Mutex
	roots *x509.CertPool
	path  string
	read  os.FileInfo // of path, when roots were read
}

// Rule decides the rule for a case. An error is of our own settings, and temporary.
func (d *Decider) Rule(c Case) (Rule, error) {
	routed := ""
	if c.Routed {
		routed = c.Host
	}
	row, err := d.Over, error(nil)
	if row == nil {
		row, err = d.Control.TLSPolicy(c.Domain, routed)
	}
	if err != nil {
		return Rule{}, err
	}
	r := Rule{TLSPolicy: control.TLSPolicy{Level: control.TLSMay, Min: tls.VersionTLS12, Where: byDefault}}
	switch {
	case row != nil:
		r.TLSPolicy = *row
	case c.Trust != "":
		r.Level, r.Where = control.TLSVerify, c.Trust
	}
	r.Named = c.Routed || r.Names != "" || r.Level == control.TLSFingerprint
	r.Names = cmp.Or(r.Names, c.Host)
	switch {
	case c.Required && r.Level == control.TLSNone: // no TLS would be a bounce
		r.Level, r.Where = control.TLSMay, "REQUIRETLS lifts "+r.Where
	case c.Optional && !c.Required && !c.Login && !r.Always && r.Level != control.TLSNone:
		lifted := ""
		if r.Level.Demands() {
			lifted = " lifts " + r.String()
		}
		r.Level, r.Min, r.Where = control.TLSMay, tls.VersionTLS12, "TLS-Required: No"+lifted
	}
	return r, nil
}

// Group returns what tells apart the domains that one route serves: those for which it
// is equal have equal rules with every host.
func (d *Decider) Group(domain string) (string, error) {
	if d.Over != nil {
		return "", nil
	}
	row, err := d.Control.TLSPolicy(domain, "")
	if row == nil || err != nil {
		return "", err
	}
	return row.Where, nil
}

// Roots returns the authorities of control/tls-roots; nil means those of the system.
func (d *Decider) Roots() (*x509.CertPool, error) {
	path, err := d.Control.TLSRoots()
	if err != nil || path == "" {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	info, err := os.Stat(path)
	if err == nil && path == d.path && same(info, d.read) {
		return d.roots, nil
	}
	pool, err := control.ReadRoots(path)
	if err != nil {
		return nil, status.Temp("4.3.5", err.Error(), nil)
	}
	if info == nil {
		return pool, nil // it is there by now
	}
	// What was written within a moment may be written again unseen.
	if time.Since(info.ModTime()) > time.Second {
		d.roots, d.path, d.read = pool, path, info
	}
	return pool, nil
}

// same reports whether a file is as it was.
func same(a, b os.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
