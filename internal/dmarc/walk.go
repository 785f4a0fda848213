package dmarc

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"paperpath/internal/dns"
)

// Found is a policy record and what it has to do with a domain.
type Found struct {
	Record *Record
	At     string // the domain that publishes it
	Place  Place  // what that domain is to the other
	Tag    string // p, sp or np: which policy counts
	Policy Policy // as published, before t=y
}

// Place says what the publisher of a record is.
type Place string

// The places, in the order in which they count (RFC 9989 4.10.1).
const (
	Author         Place = "author's domain"
	Organizational Place = "organizational domain"
	PublicSuffix   Place = "public suffix domain"
)

// Query is one question to the DNS, and what came.
type Query struct {
	Name   string
	Answer string  // for people
	Record *Record // nil if there is none that counts

	exists, missing bool // what the answer says of the name
}

// finder asks for records, each name once.
type finder struct {
	dns   Resolver
	known map[string]*Query
	asked []*Query // in their order
}

func newFinder(r Resolver) *finder { return &finder{dns: r, known: map[string]*Query{}} }

// record returns the policy record that a domain publishes itself, nil if it has none. Of
// several none counts (RFC 9989 4.10).
func (f *finder) record(ctx context.Context, domain string) (*Record, error) {
	q, err := f.ask(ctx, "_dmarc."+domain)
	if err != nil {
		return nil, err
	}
	return q.Record, nil
}

// ask asks for the TXT records of a name. Only an answer is kept.
func (f *finder) ask(ctx context.Context, name string) (*Query, error) {
	if q := f.known[name]; q != nil {
		return q, nil
	}
	q := &Query{Name: name}
	f.asked = append(f.asked, q)
	texts, err := f.dns.TXT(ctx, name)
	switch {
	case errors.Is(err, dns.ErrNoDomain):
		q.Answer, q.missing = "no such domain", true
	case errors.Is(err, dns.ErrNoData):
		q.Answer, q.exists = "no such record", true
	case errors.Is(err, dns.ErrBadName):
		q.Answer = "not asked: the name is too long"
	case err != nil:
		q.Answer = err.Error()
		return nil, err
	default:
		q.exists = true
		q.take(texts)
	}
	f.known[name] = q
	return q, nil
}

// take finds the one policy record among the TXT records of a name.
func (q *Query) take(texts []string) {
	var list []string
	for _, text := range texts {
		if isRecord(text) {
			list = append(list, text)
		}
	}
	switch len(list) {
	case 0:
		q.Answer = "no policy record"
	case 1:
		var err error
		if q.Record, err = Parse(list[0]); err != nil {
			q.Answer = fmt.Sprintf("a policy record that is not valid: %v", err)
			return
		}
		q.Answer = list[0]
	default:
		q.Answer = fmt.Sprintf("%d policy records, of which none counts", len(list))
	}
}

// names returns where a tree walk asks: the domain, then each name above it; of a long
// name only the last seven labels (RFC 9989 4.10).
func names(domain string) []string {
	list := []string{domain}
	labels := strings.Split(domain, ".")
	for n := min(len(labels), maxQueries) - 1; n > 0; n-- {
		list = append(list, strings.Join(labels[len(labels)-n:], "."))
	}
	return list
}

// org returns the organizational domain of a name (RFC 9989 4.10.2) and, where a public
// suffix domain above it says so, that suffix.
func (f *finder) org(ctx context.Context, domain string) (org, suffix string, err error) {
	top := domain
	for _, name := range names(domain) {
		r, err := f.record(ctx, name)
		switch {
		case err != nil:
			return "", "", err
		case r == nil:
			continue
		case r.PSD == 'n':
			return name, "", nil
		case r.PSD == 'y' && name != domain:
			return oneBelow(domain, name), name, nil
		case r.PSD == 'y':
			return name, "", nil
		}
		top = name // the highest of those without psd= counts
	}
	return top, "", nil
}

// oneBelow returns the name one label below suffix, on the way to domain.
func oneBelow(domain, suffix string) string {
	head := strings.TrimSuffix(domain, "."+suffix)
	return head[strings.LastIndexByte(head, '.')+1:] + "." + suffix
}

// find finds the record that applies to mail from a domain (RFC 9989 4.10.1).
func (f *finder) find(ctx context.Context, domain string) (Found, error) {
	at, place := domain, Author
	r, err := f.record(ctx, domain)
	if err == nil && r == nil {
		r, at, place, err = f.above(ctx, domain)
	}
	if err != nil || r == nil {
		return Found{}, err
	}
	exists := true
	if place != Author && r.NP != "" && r.Defect() == "" {
		if exists, err = f.exists(ctx, domain); err != nil {
			return Found{}, err
		}
	}
	found := Found{Record: r, At: at, Place: place}
	found.Policy, found.Tag = r.asks(place != Author, exists)
	return found, nil
}

// above finds the record of the organizational domain, or of the public suffix domain
// above that.
func (f *finder) above(ctx context.Context, domain string) (*Record, string, Place, error) {
	org, suffix, err := f.org(ctx, domain)
	if err != nil {
		return nil, "", "", err
	}
	if org != domain {
		if r, err := f.record(ctx, org); err != nil || r != nil {
			return r, org, Organizational, err
		}
	}
	if suffix == "" {
		return nil, "", "", nil
	}
	r, err := f.record(ctx, suffix)
	return r, suffix, PublicSuffix, err
}

// exists reports whether there is a domain of that name: it has records of some type, or
// names below it (RFC 9989 3.2.13, RFC 8020).
func (f *finder) exists(ctx context.Context, domain string) (bool, error) {
	if q := f.known["_dmarc."+domain]; q != nil && q.exists {
		return true, nil
	}
	q, err := f.ask(ctx, domain)
	return err == nil && !q.missing, err
}

// Lookup is what the DNS says about mail from a domain.
type Lookup struct {
	Found   Found
	Org     string // the organizational domain; "" where the DNS did not answer
	Queries []*Query
}

// Look finds out what a domain, given in A-labels and lower case, publishes. The queries
// are there also with an error.
func Look(ctx context.Context, r Resolver, domain string) (l Lookup, err error) {
	f := newFinder(r)
	if l.Found, err = f.find(ctx, domain); err == nil {
		l.Org, _, err = f.org(ctx, domain)
	}
	l.Queries = f.asked
	return l, err
}
