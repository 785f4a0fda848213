package dkim

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"paperpath/internal/dns"
	"paperpath/internal/message"
	"paperpath/internal/status"
)

// Resolver finds the TXT records of a name, each with its strings joined. Its errors are
// those of package dns: no such domain and no such record are answers, any other error
// says that there was none.
type Resolver interface {
	TXT(ctx context.Context, name string) ([]string, error)
}

// Verifier verifies signatures.
type Verifier struct {
	DNS    Resolver
	Now    func() time.Time
	Keys   *Keys           // that were read before; nil: none
	Header *message.Header // of the whole message, if it was read before; else nil
}

// check is one signature on its way to a result.
type check struct {
	field  int // of the header
	sig    *signature
	key    *record
	result Result
}

// open reports whether the result is still to be found.
func (c *check) open() bool { return c.result.Status == "" }

func (c *check) end(s Status, format string, args ...any) {
	c.result.Status, c.result.Reason = s, fmt.Sprintf(format, args...)
}

// Verify reads a message and returns the results of its signatures, of at most
// MaxSignatures, from the top. It reads no further than it must. An error says that the
// message could not be read, or that its header is too large.
func (v Verifier) Verify(ctx context.Context, r io.Reader) ([]Result, error) {
	in := message.Buffered(r)
	defer message.Done(in)
	h, err := v.header(in)
	if err != nil {
		return nil, err
	}
	defer h.done()
	signatures := h.all(signatureField)
	list := make([]*check, min(len(signatures), MaxSignatures))
	for i := range list {
		list[i] = v.begin(h, signatures[i])
	}
	v.fetch(ctx, list)
	for _, c := range list {
		if c.open() {
			c.judgeKey()
		}
		if c.open() {
			c.verifyHeader(h)
		}
	}
	if err := verifyBody(in, list); err != nil {
		return nil, err
	}
	results := make([]Result, len(list))
	for i, c := range list {
		if c.open() {
			c.pass()
		}
		results[i] = c.result
	}
	return results, nil
}

// begin judges what the signature alone tells.
func (v Verifier) begin(h *header, i int) *check {
	c := &check{field: i}
	sig, err := parseSignature(string(h.value(i)), &c.result)
	switch c.sig = sig; {
	case err != nil:
		c.end(Neutral, "%v", err)
	case sig.algorithm == "rsa-sha1":
		c.end(PermError, "rsa-sha1 proves nothing any more")
	case sig.algorithm != RSA && sig.algorithm != Ed25519:
		c.end(Neutral, "the algorithm is unknown")
	case !sig.expires.IsZero() && !v.Now().Before(sig.expires):
		c.end(PermError, "the signature expired at %s", sig.expires.UTC().Format(time.RFC3339))
	case len(sig.bh) != sha256.Size:
		c.end(Neutral, "bh= is no hash of that algorithm")
	}
	return c
}

// answer is what the DNS says about a name.
type answer struct {
	records []string
	err     error
}

// fetch gets the keys, all at once and each name once.
func (v Verifier) fetch(ctx context.Context, list []*check) {
	if len(list) == 1 { // nearly always
		if c := list[0]; c.open() {
			var a answer
			v.ask(ctx, Name(c.sig.selector, c.sig.domain), &a)
			c.found(&a, v.Keys)
		}
		return
	}
	answers := map[string]*answer{}
	for _, c := range list {
		if c.open() {
			answers[Name(c.sig.selector, c.sig.domain)] = &answer{}
		}
	}
	var wait sync.WaitGroup
	for name, a := range answers {
		ask := func() { v.ask(ctx, name, a) }
		if len(answers) == 1 {
			ask() // in place
		} else {
			wait.Go(ask)
		}
	}
	wait.Wait()
	for _, c := range list {
		if c.open() {
			c.found(answers[Name(c.sig.selector, c.sig.domain)], v.Keys)
		}
	}
}

func (v Verifier) ask(ctx context.Context, name string, a *answer) {
	err := status.Guard(func() error {
		a.records, a.err = v.DNS.TXT(ctx, name)
		return nil
	})
	if err != nil {
		a.err = err
	}
}

// found takes the answer of the DNS.
func (c *check) found(a *answer, keys *Keys) {
	var err error
	switch {
	case errors.Is(a.err, dns.ErrNoDomain), errors.Is(a.err, dns.ErrNoData), errors.Is(a.err, dns.ErrBadName):
		c.end(PermError, "there is no key: %v", a.err)
		return
	case a.err != nil:
		c.end(TempError, "%s", status.Public(a.err))
		c.result.Err = a.err
		return
	}
	total := 0
	for _, text := range a.records {
		total += len(text)
	}
	if total > maxRecord {
		c.end(PermError, "the records of the key have more than %d octets", maxRecord)
		return
	}
	if c.key, err = chosen(a.records, keys); err != nil {
		c.end(PermError, "the key is not usable: %v", err)
	} else if c.key == nil {
		c.end(PermError, "there is no key: the answer has no text")
	}
}

// judgeKey compares the key with the signature.
func (c *check) judgeKey() {
	c.result.KeyBits, c.result.Testing = keyBits(c.key.public), c.key.testing
	switch err := Usable(c.key.public); {
	case c.key.algorithm != c.sig.algorithm:
		c.end(PermError, "the key is for %s", c.key.algorithm)
	case err != nil:
		c.end(Policy, "%v", err)
	case c.key.exact && c.sig.identity != c.sig.domain:
		c.end(PermError, "the key says t=s, but the domain of i= is not d=")
	}
}

// verifyHeader verifies the signature of the header (RFC 6376 3.7).
func (c *check) verifyHeader(h *header) {
	h.text = h.appendSigned(h.text[:0], c.sig.header, c.sig.names, c.field)
	name, value, _ := bytes.Cut(h.field(c.field), []byte(":"))
	h.bare = appendWithoutB(append(append(h.bare[:0], name...), ':'), value)
	h.text = c.sig.header.field(h.text, h.fields[c.field].Name, h.bare)
	if !signed(c.key.public, h.text, c.sig.b) {
		c.end(Fail, "the header was changed, or another key signed it")
	}
}

// signed reports whether sig signs text.
func signed(pub crypto.PublicKey, text, sig []byte) bool {
	sum := sha256.Sum256(text)
	switch k := pub.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(k, crypto.SHA256, sum[:], sig) == nil
	case ed25519.PublicKey: // it signs the hash (RFC 8463 3)
		return ed25519.Verify(k, sum[:], sig)
	}
	return false
}

// verifyBody reads the body once, for all signatures that are left.
func verifyBody(r *bufio.Reader, list []*check) error {
	var all []*body
	for _, form := range [...]canonical{simple, relaxed} {
		if slices.ContainsFunc(list, func(c *check) bool { return c.open() && c.sig.body == form }) {
			b := newBody(form)
			defer b.done()
			all = append(all, b)
		}
	}
	if len(all) == 0 {
		return nil
	}
	to := io.Writer(all[0])
	if len(all) > 1 {
		to = io.MultiWriter(all[0], all[1])
	}
	if _, err := r.WriteTo(to); err != nil {
		return fmt.Errorf("read the message: %w", err)
	}
	for _, b := range all {
		sum, size := b.sum()
		for _, c := range list {
			if c.open() && c.sig.body == b.form {
				c.verifyBody(sum, size)
			}
		}
	}
	return nil
}

// verifyBody compares the hash of the whole body. A signature that covers less of it lets
// anybody append what they like, so it is none (RFC 6376 8.2).
func (c *check) verifyBody(sum []byte, size int64) {
	switch {
	case c.sig.length >= 0 && c.sig.length < size:
		c.end(Policy, "l=%d covers only a part of the body, which has %d octets", c.sig.length, size)
	case c.sig.length > size:
		c.end(Fail, "the body was cut: it has %d octets, l= says %d", size, c.sig.length)
	case !bytes.Equal(sum, c.sig.bh):
		c.end(Fail, "the body was changed")
	}
}

// pass ends the check of a valid signature. Mail of a domain that only tests its key is
// like mail without the signature (RFC 6376 3.6.1).
func (c *check) pass() {
	if c.key.testing {
		c.end(Neutral, "the signature is valid, but the key says that it is being tested: t=y")
		return
	}
	c.result.Status = Pass
}
