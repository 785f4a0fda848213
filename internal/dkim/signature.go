package dkim

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/dns"
)

// signature is a DKIM-Signature field (RFC 6376 3.5).
type signature struct {
	algorithm        string
	b, bh            []byte
	header, body     canonical
	domain, identity string // identity: the domain of i=
	selector         string
	names            []string // h=
	length           int64    // l=; -1: the whole body
	expires          time.Time
}

// parseSignature reads the body of a DKIM-Signature field. It puts what can be read into
// r, even if it returns an error.
func parseSignature(value string, r *Result) (*signature, error) {
	if len(value) > maxSignature {
		return nil, fmt.Errorf("the field has more than %d octets", maxSignature)
	}
	list, err := parseTags(value)
	if err != nil {
		return nil, err
	}
	s := &signature{length: -1}
	for _, err := range [...]error{
		s.origin(list, r), s.kind(list, r), s.times(list), s.hashed(list), s.values(list, r)} {
		if err != nil {
			return nil, err
		}
	}
	return s, nil
}

// origin reads who signed: d=, s= and i=.
func (s *signature) origin(list tags, r *Result) (err error) {
	if s.domain, err = dns.ASCII(list.value("d", "")); err != nil {
		return errors.New("d= is not a domain")
	}
	r.Domain = s.domain
	r.Identity = dropFWS(list.value("i", "@"+s.domain))
	if s.selector, err = dns.ASCII(list.value("s", "")); err != nil {
		return errors.New("s= is not a selector")
	}
	r.Selector = s.selector
	at := strings.LastIndexByte(r.Identity, '@')
	if s.identity, err = dns.ASCII(r.Identity[at+1:]); at < 0 || err != nil {
		return errors.New("i= is not an address")
	}
	if s.identity != s.domain && !strings.HasSuffix(s.identity, "."+s.domain) {
		return errors.New("the domain of i= is neither d= nor below it")
	}
	return nil
}

// kind reads how it was signed: v=, a=, c= and q=. Where the key is, q= says; there is
// only one place.
func (s *signature) kind(list tags, r *Result) error {
	s.algorithm = addr.Fold(list.value("a", ""))
	if isWord(s.algorithm) {
		r.Algorithm = s.algorithm
	}
	headerForm, bodyForm, both := strings.Cut(addr.Fold(list.value("c", "simple")), "/")
	if !both {
		bodyForm = string(simple)
	}
	s.header, s.body = canonical(headerForm), canonical(bodyForm)
	switch {
	case list.value("v", "") != "1":
		return errors.New("v= is not 1")
	case !isWord(s.algorithm):
		return errors.New("a= is not an algorithm")
	case s.header != simple && s.header != relaxed, s.body != simple && s.body != relaxed:
		return errors.New("c= names a form that does not exist")
	case !listed(list.value("q", "dns/txt"), "dns/txt", "dns"):
		return errors.New("q= has no way to the key but unknown ones")
	}
	return nil
}

// isWord reports whether s may stand in a result: letters, digits and hyphens.
func isWord(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] != '-' && (s[i] < '0' || s[i] > '9') && (s[i] < 'a' || s[i] > 'z') {
			return false
		}
	}
	return s != "" && len(s) <= 63
}

// times reads t= and x=.
func (s *signature) times(list tags) error {
	made, errT := number(list.value("t", "0"), 12)
	expires, errX := number(list.value("x", "0"), 12)
	switch {
	case errT != nil:
		return errors.New("t= is not a time")
	case errX != nil:
		return errors.New("x= is not a time")
	case list.has("x") && list.has("t") && expires <= made:
		return errors.New("x= is not after t=")
	}
	if list.has("x") {
		s.expires = time.Unix(expires, 0)
	}
	return nil
}

// hashed reads what was signed: h= and l=.
func (s *signature) hashed(list tags) (err error) {
	from, all := false, list.value("h", "")
	s.names = make([]string, 0, 1+strings.Count(all, ":"))
	for name := range strings.SplitSeq(all, ":") {
		name = trimFWS(name)
		from = from || strings.EqualFold(name, "From")
		s.names = append(s.names, name)
	}
	if !from {
		return errors.New("h= does not name From")
	}
	if text, ok := list.lookup("l"); ok {
		if s.length, err = number(text, 18); err != nil {
			return errors.New("l= is not a number")
		}
	}
	return nil
}

// number reads at most that many digits.
func number(s string, digits int) (int64, error) {
	if s == "" || len(s) > digits || strings.Trim(s, "0123456789") != "" {
		return 0, errors.New("not a number")
	}
	return strconv.ParseInt(s, 10, 64)
}

// values reads b= and bh=.
func (s *signature) values(list tags, r *Result) (err error) {
	b := dropFWS(list.value("b", ""))
	if s.b, err = base64.StdEncoding.DecodeString(b); err != nil || len(s.b) == 0 {
		return errors.New("b= is not base64")
	}
	r.B = b[:min(len(b), 8)]
	if s.bh, err = base64.StdEncoding.DecodeString(dropFWS(list.value("bh", ""))); err != nil || len(s.bh) == 0 {
		return errors.New("bh= is not base64")
	}
	return nil
}
