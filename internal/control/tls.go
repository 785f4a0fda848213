package control

import (
	"crypto/x509"
	"os"
)

// ClientCA returns the certificates of control/tls/clientca.pem, which verify clients
// that log in by certificate; nil if there is no such file.
func (c *Control) ClientCA() (*x509.CertPool, error) {
	p, _, err := load(c, clientCAFile())
	return p, err
}

func clientCAFile() file[*x509.CertPool] {
	return file[*x509.CertPool]{name: "tls/clientca.pem", max: 1 << 20, parse: func(name string,
		data []byte) (*x509.CertPool, error) {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(data) {
			return nil, failFile(name, "there is no certificate in it")
		}
		return pool, nil
	}}
}

// readTLS reads what is in control/tls apart from the certificates, which package
// certs reads.
func (c *Control) readTLS() error {
	if info, err := os.Stat(c.path("tls")); err != nil || !info.IsDir() {
		return nil // there is none, or unknownName reports it
	}
	_, err := c.ClientCA()
	return err
}
