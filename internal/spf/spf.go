// Package spf asks whether a host may use a domain in MAIL FROM or HELO: RFC 7208. The
// evaluation is that of blitiri.com.ar/go/spf, with our resolver, our context and our
// limits around it; nothing else imports that library.
//
// What strangers publish is bounded: 10 terms that need the DNS, 2 of their lookups
// without an answer, 10 names of each (RFC 7208 4.6.4), the length of a record, and 20
// seconds for all.
package spf

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	lib "blitiri.com.ar/go/spf"

	"paperpath/internal/addr"
	"paperpath/internal/dns"
	"paperpath/internal/status"
)

// Limits (RFC 7208 4.6.4).
const (
	MaxLookups     = 10
	maxVoidLookups = 2
	maxTime        = 20 * time.Second

	// maxRecord is how many octets a record may have: one should fit into a packet (RFC 7208
	// 3.4), and reading the longest that the DNS can carry, again and again by includes, takes
	// seconds of processor time.
	maxRecord = 8 << 10
)

// Resolver is what is asked of the DNS. Its errors are those of package dns.
type Resolver interface {
	TXT(ctx context.Context, name string) ([]string, error)
	MX(ctx context.Context, domain string) ([]dns.MX, error)
	Addrs(ctx context.Context, host string) ([]netip.Addr, error)
	PTR(ctx context.Context, ip netip.Addr) ([]string, error)
}

// Status is the result, in the words of RFC 7208 2.6.
type Status string

// The results.
const (
	None      Status = "none"      // there is no domain name, or it publishes nothing
	Neutral   Status = "neutral"   // the domain does not say
	Pass      Status = "pass"      // the host may use it
	Fail      Status = "fail"      // the host may not
	SoftFail  Status = "softfail"  // the host probably may not
	TempError Status = "temperror" // the DNS did not answer
	PermError Status = "permerror" // what is published cannot be followed
)

// Scope is the identity that was checked (RFC 7208 2.3, 2.4).
type Scope string

// The scopes.
const (
	MailFrom Scope = "mailfrom"
	Helo     Scope = "helo"
)

// Query is one question to the DNS, and what came.
type Query struct{ Type, Name, Answer string }

// Result is what came out.
type Result struct {
	Status  Status
	Scope   Scope
	Domain  string // in A-labels and lower case; "" if the identity is none
	Sender  string // the address that was checked
	Reason  string // for people: what matched, or why nothing did
	Record  string // what the domain publishes; "" if nothing
	Queries []Query
}

// Bare reports whether the record of the domain allows no host whatever: it is not used
// for mail at all (RFC 7208 10.1.2), and no forwarder can be the reason for a failure.
func (r Result) Bare() bool {
	if r.Status != Fail {
		return false
	}
	terms := strings.Fields(addr.Fold(r.Record))
	return len(terms) == 2 && terms[1] == "-all"
}

// CheckMailFrom checks the reverse path. For the null path that is the name in HELO (RFC
// 7208 2.4).
func CheckMailFrom(ctx context.Context, r Resolver, ip netip.Addr, helo string, from addr.Address) Result {
	if from.IsNull() {
		return CheckHelo(ctx, r, ip, helo)
	}
	return check(ctx, r, ip, helo,
		Result{Scope: MailFrom, Domain: from.Domain, Sender: localPart(from.Local)})
}

// CheckHelo checks the name that the host gave itself.
func CheckHelo(ctx context.Context, r Resolver, ip netip.Addr, helo string) Result {
	return check(ctx, r, ip, helo, Result{Scope: Helo, Domain: helo, Sender: "postmaster"})
}

// localPart returns a local part as macros take it. The library takes what follows the
// first @ for the domain, so one in a quoted local part would choose another domain.
func localPart(local string) string {
	if local = strings.ReplaceAll(local, "@", "="); local == "" {
		return "postmaster" // RFC 7208 4.3
	}
	return local
}

// check completes a result that has the scope, the domain and the local part.
func check(ctx context.Context, r Resolver, ip netip.Addr, helo string, result Result) Result {
	name, err := hostName(result.Domain)
	if err != nil {
		result.Status, result.Domain, result.Sender, result.Reason = None, "", "", err.Error()
		return result
	}
	result.Domain, result.Sender = name, result.Sender+"@"+name
	if !dns.IsFromMemory(ctx) {
		limited, cancel := context.WithTimeout(ctx, maxTime)
		defer cancel()
		ctx = limited
	}
	asked := &asker{dns: r, domain: name}
	client := ip.Unmap().WithZone("").AsSlice()
	status, reason := lib.CheckHostWithSender(client, macroName(helo), result.Sender,
		lib.WithContext(ctx), lib.WithResolver(asked), lib.OverrideLookupLimit(MaxLookups),
		lib.OverrideVoidLookupLimit(maxVoidLookups))
	result.Status, result.Queries, result.Record = Status(status), asked.queries, asked.record
	result.Reason = explain(reason, result, asked.last)
	return result
}

// hostName returns a name as the DNS has it. Addresses and single labels are none that
// could publish something (RFC 7208 2.3, 4.3).
func hostName(domain string) (string, error) {
	if _, literal := addr.Literal(domain); literal {
		return "", errors.New("an address literal is no domain name")
	}
	if _, is := addr.IP(domain); is {
		return "", errors.New("an address is no domain name")
	}
	name, err := dns.ASCII(domain)
	switch {
	case err != nil:
		return "", errors.New("not a domain name")
	case !strings.Contains(name, "."):
		return "", errors.New("a name of one label is no domain name")
	}
	return name, nil
}

// macroName is a HELO name as %{h} has it.
func macroName(helo string) string {
	if name, err := dns.ASCII(helo); err == nil {
		return name
	}
	return "unknown"
}

// explain says for people what decided.
func explain(reason error, r Result, last string) string {
	switch {
	case errors.Is(reason, lib.ErrNoResult) && r.Status == PermError:
		return "the record of " + r.Domain + " leads to a name without an SPF record"
	case errors.Is(reason, lib.ErrNoResult):
		return r.Domain + " publishes no SPF record"
	case errors.Is(reason, lib.ErrLookupLimitReached):
		return "the record of " + r.Domain + " needs more than 10 lookups"
	case errors.Is(reason, lib.ErrVoidLookupLimitReached):
		return "the record of " + r.Domain + " names more than 2 hosts that do not exist"
	case errors.Is(reason, lib.ErrTooManyMXRecords):
		return "the record of " + r.Domain + " names a domain with more than 10 mail exchangers"
	case errors.Is(reason, lib.ErrMultipleRecords):
		return "there are several SPF records of one name"
	case r.Status == TempError:
		return "the DNS did not answer: " + last
	case errors.As(reason, new(*net.DNSError)) && r.Status == PermError:
		return last
	case r.Status == PermError:
		return "the record of " + r.Domain + " is not valid: " + text(reason)
	case r.Status == Neutral && reason == nil:
		return "no term of the record matches"
	}
	return text(reason)
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// asker is our resolver as the library asks it. It notes the answers.
type asker struct {
	dns     Resolver
	domain  string
	record  string // SPF record of the domain
	last    string // error
	queries []Query

	reverse []string  // names of the client
	until   time.Time // when what its own name servers do not answer is given up
}

// reverseTime returns a context for questions that the name servers of the client answer: all
// of them get half of the time at most. A forger whose servers keep us would otherwise see to
// it that the rest of the record of a domain with ptr is never read.
func (a *asker) reverseTime(ctx context.Context) (context.Context, context.CancelFunc) {
	if a.until.IsZero() {
		a.until = time.Now().Add(maxTime / 2)
		if end, ok := ctx.Deadline(); ok {
			a.until = time.Now().Add(time.Until(end) / 2)
		}
	}
	return context.WithDeadline(ctx, a.until)
}

// note notes an answer and returns the error as the library tells them apart: no such
// name and no such record are answers.
func (a *asker) note(kind, name string, answers []string, err error) error {
	if err == nil {
		a.queries = append(a.queries, Query{kind, name, strings.Join(answers, " | ")})
		return nil
	}
	if answer := nothing(err); answer != "" {
		a.queries = append(a.queries, Query{kind, name, answer})
		return &net.DNSError{Err: answer, Name: name, IsNotFound: true}
	}
	a.queries = append(a.queries, Query{kind, name, err.Error()})
	a.last = status.Public(err)
	return &net.DNSError{Err: a.last, Name: name, IsTemporary: true}
}

// nothing says that there is nothing; "" if that is not known.
func nothing(err error) string {
	switch {
	case errors.Is(err, dns.ErrNoDomain):
		return "no such domain"
	case errors.Is(err, dns.ErrNoData):
		return "no such record"
	case errors.Is(err, dns.ErrBadName):
		return "not asked: no name can be like that"
	}
	return ""
}

// LookupTXT implements the library's resolver.
func (a *asker) LookupTXT(ctx context.Context, name string) ([]string, error) {
	name = fitted(name)
	list, err := a.dns.TXT(ctx, name)
	if err = a.note("TXT", name, list, err); err != nil {
		return nil, err
	}
	records, wrong := 0, error(nil)
	for _, text := range list {
		if !isRecord(text) {
			continue
		}
		if records++; strings.EqualFold(name, a.domain) {
			a.record = text
		}
		if wrong == nil {
			wrong = invalid(text)
		}
	}
	if wrong != nil && records == 1 {
		a.last = name + " publishes an invalid record: " + wrong.Error()
		return nil, &net.DNSError{Err: a.last, Name: name}
	}
	return list, nil
}

// isRecord reports whether a text is an SPF record (RFC 7208 4.5).
func isRecord(text string) bool {
	version, _, _ := strings.Cut(text, " ")
	return strings.EqualFold(version, "v=spf1")
}

// LookupMX implements the library's resolver.
func (a *asker) LookupMX(ctx context.Context, name string) (list []*net.MX, err error) {
	name = fitted(name)
	found, err := a.dns.MX(ctx, name)
	var answers []string
	for _, mx := range found {
		list = append(list, &net.MX{Host: mx.Host, Pref: mx.Pref})
		answers = append(answers, mx.Host)
	}
	return list, a.note("MX", name, answers, err)
}

// LookupIPAddr implements the library's resolver.
func (a *asker) LookupIPAddr(ctx context.Context, name string) ([]net.IPAddr, error) {
	name = fitted(name)
	if _, is := addr.IP(name); is {
		// An address where a name belongs: the DNS has none of that name.
		return nil, a.note("A", name, nil, &dns.Error{Kind: dns.ErrBadName, Name: name, Type: "A"})
	}
	if slices.Contains(a.reverse, strings.TrimSuffix(name, ".")) {
		limited, cancel := a.reverseTime(ctx)
		defer cancel()
		ctx = limited
	}
	found, err := a.dns.Addrs(ctx, name)
	list, answers := make([]net.IPAddr, len(found)), make([]string, len(found))
	for i, ip := range found {
		list[i], answers[i] = net.IPAddr{IP: ip.AsSlice()}, ip.String()
	}
	return list, a.note("A", name, answers, err)
}

// LookupAddr implements the library's resolver.
func (a *asker) LookupAddr(ctx context.Context, address string) ([]string, error) {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return nil, a.note("PTR", address, nil, &dns.Error{Kind: dns.ErrBadName, Name: address, Type: "PTR"})
	}
	ctx, cancel := a.reverseTime(ctx)
	defer cancel()
	list, err := a.dns.PTR(ctx, ip)
	a.reverse = append(a.reverse, list...)
	return list, a.note("PTR", address, list, err)
}

// fitted removes labels from the left of a name that is too long for the DNS (RFC 7208
// 7.3).
func fitted(name string) string {
	for len(strings.TrimSuffix(name, ".")) > 253 {
		_, rest, ok := strings.Cut(name, ".")
		if !ok {
			break
		}
		name = rest
	}
	return name
}
