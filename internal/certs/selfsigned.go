package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/control"
)

// selfSignedLife is how long a self-signed certificate is valid: nobody renews it.
const selfSignedLife = 10 * 365 * 24 * time.Hour

// SelfSigned writes a certificate for hostname and the other names (hosts or
// IP addresses) into the existing directory dir, and its key with mode 0600.
// If one of the files exists, the error is fs.ErrExist and it stays as it is.
func SelfSigned(dir, hostname string, names []string, now time.Time) error {
	for _, name := range []string{chainName, keyName} {
		path := filepath.Join(dir, name)
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("%s: %w", path, fs.ErrExist)
		}
	}
	chain, key, err := selfSigned(hostname, names, now)
	if err != nil {
		return fmt.Errorf("make a certificate for %s: %w", hostname, err)
	}
	// The key comes first: a certificate without its key would be an error.
	if err := control.Write(filepath.Join(dir, keyName), key, 0o600); err != nil {
		return err
	}
	return control.Write(filepath.Join(dir, chainName), chain, 0o644)
}

// selfSigned returns certificate and key in PEM.
func selfSigned(hostname string, names []string, now time.Time) (chain, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: hostname[:min(len(hostname), 64)]}, // RFC 5280 appendix A.1: ub-common-name
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(selfSignedLife),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, name := range append([]string{hostname}, names...) {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
			continue
		}
		template.DNSNames = append(template.DNSNames, addr.FoldDomain(name))
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		return nil, nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), nil
}
