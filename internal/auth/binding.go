package auth

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"

	_ "crypto/sha512" // crypto.SHA384 and SHA512 for tls-server-end-point
)

// binding returns the data of a channel binding. What this connection does not
// have is Malformed: the client chose it.
func (p Peer) binding(kind string) ([]byte, error) {
	var data []byte
	switch kind {
	case "tls-exporter": // RFC 9266
		// TLS 1.2 needs the extended master secret, which this sees to. What
		// the RFC calls a context of length zero is none in GnuTLS, OpenSSL
		// and their users; in TLS 1.3 there is no difference.
		var err error
		if data, err = p.TLS.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32); err != nil {
			data = nil
		}
	case "tls-server-end-point":
		data = endPoint(p.Leaf)
	case "tls-unique": // nil in TLS 1.3, which has none (RFC 8446 C.5)
		// The triple handshake attack needs a resumed session (RFC 7627 1);
		// where there is one without the extended master secret, Go gives none.
		data = p.TLS.TLSUnique
	}
	if len(data) == 0 {
		return nil, Malformed("unsupported channel binding")
	}
	return data, nil
}

// endPoint is tls-server-end-point (RFC 5929 4.1): the certificate hashed with
// the hash of its signature, SHA-256 in the place of MD5 and SHA-1. A signature
// without a hash of its own (Ed25519) has none.
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

// ServerTLS returns the settings for one handshake: a client certificate is
// asked for where one can be of use, and leaf tells afterwards which
// certificate of ours was used. A client's certificate that nobody vouches for
// does not end the handshake: it only proves nothing.
func (p Policy) ServerTLS(cfg *tls.Config) (once *tls.Config, leaf func() *x509.Certificate) {
	once = cfg.Clone()
	if p.ClientCA != nil {
		once.ClientAuth = tls.RequestClientCert
		once.ClientCAs = p.ClientCA // named to the client, so that it finds the right one
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
