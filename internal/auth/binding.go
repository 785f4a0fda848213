package auth

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"

	_ "crypto/sha512" // crypto.SHA384 and SHA512 for tls-server-end-point
)

// binding returns the data of a channel binding. One that this connection does not have
// is Malformed: the client chose it.
func (p Peer) binding(kind string) ([]byte, error) {
	var data []byte
	switch kind {
	case "tls-exporter": // RFC 9266
		// In TLS 1.2 ExportKeyingMaterial insists on the extended master secret.
		// GnuTLS, OpenSSL and their users take the zero-length context of the RFC
		// as no context; in TLS 1.3 there is no difference.
		var err error
		if data, err = p.TLS.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32); err != nil {
			data = nil
		}
	case "tls-server-end-point":
		data = endPoint(p.Leaf)
	case "tls-unique": // nil in TLS 1.3, which has none (RFC 8446 C.5)
		// The triple handshake attack needs a resumed session (RFC 7627 1); for one
		// without the extended master secret Go returns nil.
		data = p.TLS.TLSUnique
	}
	if len(data) == 0 {
		return nil, Malformed("unsupported channel binding")
	}
	return data, nil
}

// endPoint returns tls-server-end-point (RFC 5929 4.1): the certificate hashed with the
// hash of its signature, or with SHA-256 instead of MD5 and SHA-1. It is nil for a
// signature without a hash of its own (Ed25519).
func endPoint(leaf *x509.Certificate) []byte {
	if leaf == nil {
		return nil
	}
	hash := crypto.SHA256
	switch leaf.SignatureAlgorithm {
	case x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384:
		hash = crypto.SHA384
	case x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512:
		hash = crypto.SHA512
	case x509.PureEd25519, x509.UnknownSignatureAlgorithm:
		return nil
	}
	h := hash.New()
	h.Write(leaf.Raw)
	return h.Sum(nil)
}

// ServerTLS returns the settings of one handshake. It requests a client certificate if
// the policy has a use for one; leaf returns afterwards which certificate of ours was
// used. An untrusted client certificate does not end the handshake: it just proves
// nothing.
func (p Policy) ServerTLS(cfg *tls.Config) (once *tls.Config, leaf func() *x509.Certificate) {
	once = cfg.Clone()
	if p.ClientCA != nil {
		once.ClientAuth = tls.RequestClientCert
		once.ClientCAs = p.ClientCA // sent to the client, which selects its certificate by them
	}
	var used *x509.Certificate
	if get := cfg.GetCertificate; get != nil {
		once.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			cert, err := get(hello)
			if err == nil && cert != nil {
				used = cert.Leaf
			}
			return cert, err
		}
	} else if len(cfg.Certificates) == 1 {
		used = cfg.Certificates[0].Leaf
	}
	return once, func() *x509.Certificate { return used }
}
