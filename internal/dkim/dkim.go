// Package dkim signs messages and verifies their signatures: RFC 6376 with the algorithms
// of RFC 8301 and RFC 8463.
//
// What strangers send is bounded: the octets and fields of a header, the signatures of a
// message, the length of one, the size of a key. A message is read once, however many
// signatures it has, and nothing is kept of its body.
//
// The lines of a message may end in LF, as in the spool, or in CRLF; both are hashed as
// CRLF, since that is how a message travels.
package dkim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
)

// Limits.
const (
	MaxSignatures = 10      // of a message that are verified, from the top
	maxHeader     = 1 << 20 // octets of a header
	maxFields     = 5000    // of a header
	maxSignature  = 64 << 10
	maxRecord     = 16 << 10 // octets of a key record
	minRSA        = 1024     // bits; smaller keys prove nothing (RFC 8301 3.2)
	maxRSA        = 8192     // bits; larger keys cost too much time
)

// The algorithms (RFC 8301 3.1, RFC 8463 3). rsa-sha1 is no longer one.
const (
	RSA     = "rsa-sha256"
	Ed25519 = "ed25519-sha256"
)

const signatureField = "DKIM-Signature"

// Status is the result of a signature, in the words of RFC 8601 2.7.1.
type Status string

// The results.
const (
	Pass      Status = "pass"      // the signature is valid
	Fail      Status = "fail"      // the message or the signature was changed
	Policy    Status = "policy"    // it would be valid, but is of a kind that proves too little
	Neutral   Status = "neutral"   // it cannot be read, or its key is being tested
	TempError Status = "temperror" // the key could not be fetched; later it may be
	PermError Status = "permerror" // there is no usable key, or the signature forbids its use
)

// Result is what became of one signature. What the signature says is there as far as it
// could be read, and is text from outside, though d, s and a are harmless if not empty.
type Result struct {
	Status Status
	Reason string // why, for people; "" for a pass
	Err    error  // why the key could not be fetched, for our own people

	Domain    string // d=, in A-labels and lower case
	Identity  string // i=, @ and the domain where the signature has none
	Selector  string // s=
	Algorithm string // a=
	B         string // the first octets of b=, which tell signatures of one message apart (RFC 6008)
	KeyBits   int    // the size of the key; 0 if none was found
	Testing   bool   // the key says t=y
}

// Key signs in the name of a domain.
type Key struct {
	Domain   string // in A-labels and lower case
	Selector string
	Signer   crypto.Signer // an RSA or an Ed25519 key
}

// Algorithm returns the algorithm of a public key, "" if DKIM has none for it.
func Algorithm(pub crypto.PublicKey) string {
	switch pub.(type) {
	case *rsa.PublicKey:
		return RSA
	case ed25519.PublicKey:
		return Ed25519
	}
	return ""
}

// Usable returns an error if no receiver would accept signatures of the key.
func Usable(pub crypto.PublicKey) error {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n < minRSA || n > maxRSA {
			return fmt.Errorf("an RSA key of %d bits: %d to %d are valid", n, minRSA, maxRSA)
		}
		return nil
	case ed25519.PublicKey:
		return nil
	}
	return errors.New("neither an RSA nor an Ed25519 key")
}

// keyBits is the size of a public key.
func keyBits(pub crypto.PublicKey) int {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		return k.N.BitLen()
	case ed25519.PublicKey:
		return 8 * len(k)
	}
	return 0
}

// Name returns the name in the DNS at which the key of a selector is published (RFC 6376
// 3.6.2.1).
func Name(selector, domain string) string { return selector + "._domainkey." + domain }
