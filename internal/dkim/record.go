package dkim

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// record is a key in the DNS (RFC 6376 3.6.1).
type record struct {
	public    crypto.PublicKey // nil: revoked
	algorithm string
	testing   bool // t=y
	exact     bool // t=s: the domain of i= must be d=
}

// errRevoked is the error for a key with an empty p=.
var errRevoked = errors.New("the key has been revoked: its p= is empty")

// parseRecord reads the text of a key record.
func parseRecord(text string) (*record, error) {
	list, err := parseTags(text)
	if err != nil {
		return nil, err
	}
	p, ok := list.lookup("p")
	switch {
	case !ok:
		return nil, errors.New("there is no p=")
	case list.value("v", "DKIM1") != "DKIM1" || list.has("v") && list[0].name != "v":
		return nil, errors.New("it does not begin with v=DKIM1")
	case !listed(list.value("h", "sha256"), "sha256"):
		return nil, errors.New("h= does not allow sha256")
	case !listed(list.value("s", "*"), "*", "email"):
		return nil, errors.New("s= does not allow email")
	case trimFWS(p) == "":
		return nil, errRevoked
	}
	flags := list.value("t", "")
	r := &record{testing: listed(flags, "y"), exact: listed(flags, "s")}
	r.public, err = publicKey(list.value("k", "rsa"), dropFWS(p))
	if err != nil {
		return nil, err
	}
	r.algorithm = Algorithm(r.public)
	return r, nil
}

// publicKey decodes p=.
func publicKey(kind, p string) (crypto.PublicKey, error) {
	der, err := base64.StdEncoding.DecodeString(p)
	if err != nil {
		return nil, errors.New("p= is not base64")
	}
	switch strings.ToLower(kind) {
	case "rsa":
		// The two forms of RFC 6376 3.6.1 (with its erratum 3017).
		if key, err := x509.ParsePKIXPublicKey(der); err == nil {
			if key, ok := key.(*rsa.PublicKey); ok {
				return key, nil
			}
			return nil, errors.New("p= is not an RSA key")
		}
		key, err := x509.ParsePKCS1PublicKey(der)
		if err != nil {
			return nil, errors.New("p= is not an RSA key")
		}
		return key, nil
	case "ed25519":
		if len(der) != ed25519.PublicKeySize {
			return nil, errors.New("p= is not an Ed25519 key")
		}
		return ed25519.PublicKey(der), nil
	}
	return nil, fmt.Errorf("k=%.20q is no kind of key that is known", kind)
}

// Record returns the text of the record that publishes a key. The DNS wants it in strings
// of at most 255 octets.
func Record(pub crypto.PublicKey) (string, error) {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		der, err := x509.MarshalPKIXPublicKey(k)
		return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der), err
	case ed25519.PublicKey:
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(k), nil
	}
	return "", Usable(pub)
}

// chosen returns the key among the TXT records of a name: others may stand beside it, but
// not a second key (RFC 6376 3.6.2.2).
func chosen(records []string, keys *Keys) (*record, error) {
	var key *record
	var wrong error
	for _, text := range records {
		r, err := keys.parse(text)
		switch {
		case err != nil && (wrong == nil || strings.Contains(text, "p=")):
			wrong = err
		case err == nil && key != nil:
			return nil, errors.New("there are two keys of that name")
		case err == nil:
			key = r
		}
	}
	if key == nil {
		return nil, wrong
	}
	return key, nil
}

// Publishes returns an error if receivers that find these TXT records at the name of a
// key would not accept its signatures.
func Publishes(records []string, pub crypto.PublicKey) error {
	key, err := chosen(records, nil)
	switch {
	case err != nil:
		return fmt.Errorf("the record is not usable: %w", err)
	case key == nil:
		return errors.New("the answer has no text")
	case !samePublic(key.public, pub):
		return errors.New("the record has another key")
	case key.testing:
		return errors.New("the record says t=y, so receivers ignore the signatures")
	}
	return nil
}

func samePublic(a, b crypto.PublicKey) bool {
	first, errA := Record(a)
	second, errB := Record(b)
	return errA == nil && errB == nil && bytes.Equal([]byte(first), []byte(second))
}
