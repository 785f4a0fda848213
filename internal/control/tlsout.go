package control

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// TLSRoots returns the file of the authorities that other hosts' certificates are
// verified by; "" means those of the system.
func (c *Control) TLSRoots() (string, error) { return one[string](c, "tls-roots") }

// ReadRoots reads a file of authorities.
func ReadRoots(path string) (*x509.CertPool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, failFile("tls-roots", "%w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, failFile("tls-roots", "%s has no certificate (PEM, as in /etc/ssl/certs)", path)
	}
	return pool, nil
}

// checkRoots reads the setting, and the file that it names.
func (c *Control) checkRoots() error {
	path, err := c.TLSRoots()
	if err == nil && path != "" {
		_, err = ReadRoots(path)
	}
	return err
}

func parseRoots(s string) (path, wrong string) {
	switch {
	case s == "system":
		return "", ""
	case !filepath.IsAbs(s):
		return "", "is neither system nor a path that begins with /"
	}
	return filepath.Clean(s), ""
}

// TLSRatchet is how the memory of what hosts could do is used.
type TLSRatchet struct {
	Time   time.Duration // for how long it binds a host; 0: never
	Verify bool          // a certificate that was good binds too
}

// TLSRatchet returns how long a host that had TLS must have it.
func (c *Control) TLSRatchet() (TLSRatchet, error) { return one[TLSRatchet](c, "tls-ratchet") }

func parseRatchet(s string) (TLSRatchet, string) {
	const wrong = "is not off, or a time span like 30d that verify may follow"
	list := strings.Fields(s)
	if len(list) == 1 && list[0] == "off" {
		return TLSRatchet{}, ""
	}
	if len(list) == 0 || len(list) > 2 || len(list) == 2 && list[1] != "verify" {
		return TLSRatchet{}, wrong
	}
	d, bad := duration(list[0])
	if bad != "" || d < time.Hour {
		return TLSRatchet{}, wrong
	}
	return TLSRatchet{Time: d, Verify: len(list) == 2}, ""
}
