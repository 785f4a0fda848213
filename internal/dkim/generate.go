package dkim

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
)

// bitsRSA is the size of new RSA keys (RFC 8301 3.2). The record of a larger one may be
// too long for an answer by UDP.
const bitsRSA = 2048

// Generate makes a key for an algorithm, and returns it in PEM (PKCS#8).
func Generate(algorithm string) ([]byte, error) {
	var key any
	var err error
	if algorithm == Ed25519 {
		_, key, err = ed25519.GenerateKey(rand.Reader)
	} else {
		key, err = rsa.GenerateKey(rand.Reader, bitsRSA)
	}
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
