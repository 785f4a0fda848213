package relay

import (
	"crypto/tls"
	"crypto/x509"

	"paperpath/internal/params"
)

// requireTLS reports whether the sender requires verified TLS for the message (RFC
// 8689).
func (m *Message) requireTLS() bool { return params.Has(m.From.Params, "REQUIRETLS") }

// bound reports why a message with REQUIRETLS may not go to this host, or "": it needs
// TLS, a certificate for the name in control/routes, and a host that offers REQUIRETLS
// itself (RFC 8689 4.2.1). A name from an MX record proves nothing without DNSSEC or
// MTA-STS: anybody may have put it into the DNS.
func (s *session) bound() string {
	switch {
	case s.cipher == "":
		return "the host does not offer TLS"
	case !s.host.routed:
		return "the MX record is not authenticated (no DNSSEC or MTA-STS)"
	case s.distrust != nil:
		return "its certificate: " + s.distrust.Error()
	case !s.offers("REQUIRETLS"):
		return "the host does not offer REQUIRETLS"
	}
	return ""
}

// verify checks the certificate chain of a host against the roots; nil means those of
// the system.
func verify(st tls.ConnectionState, name string, roots *x509.CertPool) error {
	o := x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: x509.NewCertPool()}
	for _, c := range st.PeerCertificates[1:] {
		o.Intermediates.AddCert(c)
	}
	_, err := st.PeerCertificates[0].Verify(o)
	return err
}
