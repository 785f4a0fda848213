package relay

import (
	"crypto/tls"
	"crypto/x509"

	"paperpath/internal/params"
)

// requireTLS reports whether the sender wants the message to travel inside
// verified TLS alone (RFC 8689).
func (m *Message) requireTLS() bool { return params.Has(m.From.Params, "REQUIRETLS") }

// bound reports why a message with REQUIRETLS may not go to this host, "" where
// it may: by TLS, to a host whose certificate proves the name that control/routes
// has for it, and which binds itself to the same (RFC 8689 4.2.1). A name from an
// MX record is whatever somebody put into the DNS; it proves nothing without
// DNSSEC or MTA-STS.
func (s *session) bound() string {
	switch {
	case s.tls == "":
		return "the host does not speak TLS"
	case !s.host.routed:
		return "nothing proves that the MX record names the right host"
	case s.distrust != nil:
		return "its certificate: " + s.distrust.Error()
	case !s.offers("REQUIRETLS"):
		return "the host does not offer REQUIRETLS"
	}
	return ""
}

// verify holds the chain that a host showed against the roots; nil are those
// of the system.
func verify(st tls.ConnectionState, name string, roots *x509.CertPool) error {
	o := x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: x509.NewCertPool()}
	for _, c := range st.PeerCertificates[1:] {
		o.Intermediates.AddCert(c)
	}
	_, err := st.PeerCertificates[0].Verify(o)
	return err
}
