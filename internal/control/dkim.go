package control

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"

	"paperpath/internal/addr"
)

const (
	dkimActive = "active"
	dkimSuffix = ".pem"
	maxDKIM    = 10 // active keys of a domain; each is a signature in every message
)

// DKIMKey is a key that signs the mail of a domain.
type DKIMKey struct {
	Domain, Selector string // in A-labels and lower case
	Signer           crypto.Signer
	Where            string // file and line that make it active
}

// DKIMKeys returns the keys that sign mail from an author in domain: those that
// control/dkim/DOMAIN/active lists, for domain itself or else for the nearest domain
// above it that has such a file. The domain comes from a message. There may be none.
func (c *Control) DKIMKeys(domain string) ([]DKIMKey, error) {
	if c.isAbsent("dkim") {
		return nil, nil
	}
	domain, err := DKIMDomain(domain)
	if err != nil {
		return nil, nil // a name that no domain has has no key
	}
	for above := domain; strings.Contains(above, "."); _, above, _ = strings.Cut(above, ".") {
		list, had, err := load(c, dkimActiveFile(above))
		if err != nil {
			return nil, err
		}
		if had.stamp.present {
			return c.dkimSigners(above, list)
		}
	}
	return nil, nil
}

func plainAbsent(err error) bool { return errors.Is(err, os.ErrNotExist) }

// DKIMDomain returns a domain as the name of its directory in control/dkim: in A-labels
// and lower case.
func DKIMDomain(domain string) (string, error) {
	if err := addr.CheckDomain(domain); err != nil {
		return "", fmt.Errorf("domain %q %w", domain, err)
	}
	if domain = addr.FoldDomain(domain); domain[0] == '[' {
		return "", fmt.Errorf("domain %q is an address, which has no keys", domain)
	}
	return domain, nil
}

// dkimSigners reads the keys of a domain.
func (c *Control) dkimSigners(domain string, list []line) ([]DKIMKey, error) {
	var keys []DKIMKey
	for _, l := range list {
		signer, had, err := load(c, dkimKeyFile(domain, l.text))
		name := "dkim/" + domain + "/" + dkimActive
		if err == nil && !had.stamp.present {
			err = fail(name, l.n, "there is no key %s%s", l.text, dkimSuffix)
		}
		if err != nil {
			return nil, err
		}
		keys = append(keys, DKIMKey{domain, l.text, signer, where(name, l.n)})
	}
	return keys, nil
}

func dkimActiveFile(domain string) file[[]line] {
	return file[[]line]{name: "dkim/" + domain + "/" + dkimActive, max: maxScalar, parse: parseActive}
}

// parseActive reads the selectors that sign, one a line.
func parseActive(name string, data []byte) ([]line, error) {
	ls, err := items(name, data)
	if err != nil {
		return nil, err
	}
	seen := map[string]int{}
	for _, l := range ls {
		if err := CheckSelector(l.text); err != nil {
			return nil, fail(name, l.n, "%v", err)
		}
		if err := once(name, seen, l.text, l.n); err != nil {
			return nil, err
		}
	}
	if len(ls) > maxDKIM {
		return nil, fail(name, ls[maxDKIM].n, "more than %d selectors", maxDKIM)
	}
	return ls, nil
}

// CheckSelector refuses what cannot be a selector in control/dkim: it is a domain name
// (RFC 6376 3.1), and the name of a file.
func CheckSelector(s string) error {
	if err := addr.CheckDomain(s); err != nil || s[0] == '[' {
		return fmt.Errorf("%q is not a selector (letters, digits and hyphens)", s)
	}
	if s != addr.FoldDomain(s) {
		return fmt.Errorf("the selector %q is not in lower case", s)
	}
	return nil
}

func dkimKeyFile(domain, selector string) file[crypto.Signer] {
	return file[crypto.Signer]{name: "dkim/" + domain + "/" + selector + dkimSuffix, max: maxScalar,
		parse: parseDKIMKey}
}

// parseDKIMKey reads a private key in PEM: PKCS#8, or PKCS#1 as other programs make it.
func parseDKIMKey(name string, data []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, failFile(name, "there is no key in PEM in it")
	}
	var key any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	default:
		return nil, failFile(name, "%.40q is not a private key", block.Type)
	}
	if err != nil {
		return nil, failFile(name, "the key cannot be read: %w", err)
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		return key, nil
	case ed25519.PrivateKey:
		return key, nil
	}
	return nil, failFile(name, "not an RSA or Ed25519 key")
}

// DKIMKey returns the key of a selector.
func (c *Control) DKIMKey(domain, selector string) (crypto.Signer, error) {
	domain, err := DKIMDomain(domain)
	if err == nil {
		err = CheckSelector(selector)
	}
	if err != nil {
		return nil, refuse("%v", err)
	}
	f := dkimKeyFile(domain, selector)
	f.required = true
	signer, _, err := load(c, f)
	return signer, err
}

// DKIMDomains returns the domains that have a directory in control/dkim.
func (c *Control) DKIMDomains() ([]string, error) {
	entries, err := os.ReadDir(c.path("dkim"))
	if err != nil && !plainAbsent(err) {
		return nil, failFile("dkim", "%w", plain(err))
	}
	var list []string
	for _, e := range entries {
		if domain, err := DKIMDomain(e.Name()); err == nil && domain == e.Name() && isDir(c.path("dkim/"+domain)) {
			list = append(list, domain)
		}
	}
	return list, nil
}

// DKIMSelectors returns the selectors of a domain that have a key, in order, and which of
// them sign.
func (c *Control) DKIMSelectors(domain string) (all, active []string, err error) {
	if domain, err = DKIMDomain(domain); err != nil {
		return nil, nil, refuse("%v", err)
	}
	entries, err := os.ReadDir(c.path("dkim/" + domain))
	if err != nil && !plainAbsent(err) {
		return nil, nil, failFile("dkim/"+domain, "%w", plain(err))
	}
	for _, e := range entries {
		if s, ok := strings.CutSuffix(e.Name(), dkimSuffix); ok && CheckSelector(s) == nil {
			all = append(all, s)
		}
	}
	list, _, err := load(c, dkimActiveFile(domain))
	for _, l := range list {
		active = append(active, l.text)
	}
	return all, active, err
}
