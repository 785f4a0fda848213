// Package dns has the stub resolver of all programs: it asks the server in
// control/resolver, or those of the system, and distinguishes what mail must not
// confuse: a name that does not exist, a name without such a record, and a DNS that
// does not answer, because of which no message fails.
//
// Answers come from strangers: names in them that have anything but letters, digits, '-'
// and '_' are left out.
package dns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"paperpath/internal/status"

	"github.com/miekg/dns"
)

const (
	maxChain   = 16  // CNAMEs in a chain in one answer
	maxRecords = 100 // of one answer that are used
)

// Settings says which server to ask.
type Settings interface {
	// Resolver returns address:port, "" for the system's servers.
	Resolver() (string, error)
}

// Resolver looks names up. Its methods may be called concurrently.
type Resolver struct {
	settings Settings
	system   watched[[]string]
	hosts    watched[map[string][]netip.Addr]
	tryTime  time.Duration
}

// New returns a resolver. It reads nothing yet; changes of the setting, of resolv.conf
// and of the hosts file are seen by the next lookup.
func New(s Settings) *Resolver {
	return &Resolver{
		settings: s,
		system:   watched[[]string]{path: "/etc/resolv.conf", parse: parseResolvConf},
		hosts:    watched[map[string][]netip.Addr]{path: "/etc/hosts", parse: parseHosts},
		tryTime:  tryTime,
	}
}

// MX is a mail exchanger.
type MX struct {
	Host string // lower case, without a trailing dot; "" in a null MX
	Pref uint16 // the lowest is to be tried first
}

// MX returns the mail exchangers of a domain, the lowest preference first. An empty host
// is the null MX (RFC 7505): the domain accepts no mail.
func (r *Resolver) MX(ctx context.Context, domain string) ([]MX, error) {
	var list []MX
	null := false
	found, err := r.lookup(ctx, domain, dns.TypeMX, func(rr dns.RR) bool {
		mx, ok := rr.(*dns.MX)
		if ok && mx.Mx == "." {
			null = true // beside others it is ignored (RFC 7505 3)
			return true
		}
		host, good := hostName(mx, ok)
		if good {
			list = append(list, MX{Host: host, Pref: mx.Preference})
		}
		return ok
	})
	switch {
	case err != nil:
		return nil, err
	case len(list) > 0:
		slices.SortStableFunc(list, func(a, b MX) int { return int(a.Pref) - int(b.Pref) })
		return list, nil
	case null:
		return []MX{{}}, nil
	}
	return nil, unusable(found, domain, "MX")
}

func hostName(mx *dns.MX, ok bool) (string, bool) {
	if !ok {
		return "", false
	}
	return cleanName(mx.Mx)
}

// cleanName returns a name from an answer in lower case, without a trailing dot.
func cleanName(fqdn string) (string, bool) {
	name := strings.ToLower(strings.TrimSuffix(fqdn, "."))
	return name, checkName(name) == nil
}

// unusable returns the error for an answer that has no usable record.
func unusable(records int, name, qtype string) error {
	return &Error{Kind: ErrTemporary, Name: fmt.Sprintf("%+q", bounded(name)), Type: qtype,
		Err: fmt.Errorf("none of %d records holds a usable name", records)}
}

// Addrs returns the addresses of a host, IPv6 and IPv4 alternating. The hosts file comes
// before the DNS. An IP address is its own address.
func (r *Resolver) Addrs(ctx context.Context, host string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip.Unmap()}, nil
	}
	name, err := ASCII(host)
	if err != nil {
		return nil, err
	}
	if list, err := r.known(name); len(list) > 0 || err != nil {
		return list, temporary(err, name, "A")
	}
	type half struct {
		list []netip.Addr
		err  error
	}
	six := make(chan half, 1)
	go func() {
		var h half
		err := status.Guard(func() error {
			h.list, h.err = r.family(ctx, name, dns.TypeAAAA)
			return nil
		})
		if err != nil {
			h.err = &Error{Kind: ErrTemporary, Name: name, Type: "AAAA", Err: err}
		}
		six <- h
	}()
	v4, err4 := r.family(ctx, name, dns.TypeA)
	v6 := <-six
	if list := inTurn(v6.list, v4); len(list) > 0 {
		return list, nil
	}
	return nil, weightier(err4, v6.err)
}

// weightier returns the error that decides about a name: if one of the two lookups got
// no answer, nothing is known; NXDOMAIN counts only from both, since some servers give
// it for types that they do not know.
func weightier(a, b error) error {
	for _, kind := range []error{ErrTemporary, ErrNoData} {
		for _, err := range []error{a, b} {
			if errors.Is(err, kind) {
				return err
			}
		}
	}
	return a
}

// inTurn merges the families alternately, so that a limit on tries excludes neither.
func inTurn(a, b []netip.Addr) []netip.Addr {
	var list []netip.Addr
	for i := range max(len(a), len(b)) {
		if i < len(a) {
			list = append(list, a[i])
		}
		if i < len(b) {
			list = append(list, b[i])
		}
	}
	return list
}

// family returns the addresses of one family.
func (r *Resolver) family(ctx context.Context, name string, qtype uint16) ([]netip.Addr, error) {
	var list []netip.Addr
	_, err := r.lookup(ctx, name, qtype, func(rr dns.RR) bool {
		switch rr := rr.(type) {
		case *dns.A:
			list = appendIP(list, rr.A)
		case *dns.AAAA:
			list = appendIP(list, rr.AAAA)
		default:
			return false
		}
		return true
	})
	return list, err
}

func appendIP(list []netip.Addr, ip []byte) []netip.Addr {
	a, ok := netip.AddrFromSlice(ip)
	if a = a.Unmap(); !ok || slices.Contains(list, a) {
		return list
	}
	return append(list, a)
}

// PTR returns the names of an address in the reverse DNS, in lower case and without a
// trailing dot. Anybody may claim any name there.
func (r *Resolver) PTR(ctx context.Context, ip netip.Addr) ([]string, error) {
	arpa, err := dns.ReverseAddr(ip.Unmap().WithZone("").String())
	if err != nil {
		return nil, &Error{Kind: ErrBadName, Name: ip.String(), Type: "PTR", Err: err}
	}
	var list []string
	found, err := r.lookup(ctx, arpa, dns.TypePTR, func(rr dns.RR) bool {
		ptr, ok := rr.(*dns.PTR)
		if ok {
			if name, good := cleanName(ptr.Ptr); good {
				list = append(list, name)
			}
		}
		return ok
	})
	if err == nil && len(list) == 0 {
		err = unusable(found, arpa, "PTR")
	}
	return list, err
}

// lookup asks for the records of a name and passes them to use, which reports whether a
// record was usable. It returns the number of usable ones.
func (r *Resolver) lookup(ctx context.Context, domain string, qtype uint16, use func(dns.RR) bool) (int, error) {
	kind := dns.TypeToString[qtype]
	name, err := ASCII(domain)
	if err != nil {
		return 0, err
	}
	owner := dns.Fqdn(name)
	for range maxChain {
		asked := owner
		m, err := r.ask(ctx, asked, qtype)
		if err != nil {
			return 0, temporary(err, name, kind)
		}
		if owner, err = alias(m, asked); err != nil {
			return 0, temporary(err, name, kind)
		}
		n := records(m, owner, qtype, use)
		switch {
		case n > 0:
			return n, nil
		case m.Rcode == dns.RcodeNameError:
			return 0, &Error{Kind: ErrNoDomain, Name: name, Type: kind}
		case owner == asked:
			return 0, &Error{Kind: ErrNoData, Name: name, Type: kind}
		}
		// The server did not follow the chain to its end.
	}
	return 0, temporary(errors.New("too many CNAMEs"), name, kind)
}

// records passes the records of owner to use and counts the usable ones.
func records(m *dns.Msg, owner string, qtype uint16, use func(dns.RR) bool) int {
	n := 0
	for _, rr := range m.Answer {
		h := rr.Header()
		ours := h.Rrtype == qtype && h.Class == dns.ClassINET && strings.EqualFold(h.Name, owner)
		if ours && n < maxRecords && use(rr) {
			n++
		}
	}
	return n
}

// temporary wraps an error that prevented an answer; nil stays nil.
func temporary(err error, name, qtype string) error {
	if err == nil {
		return nil
	}
	return &Error{Kind: ErrTemporary, Name: name, Type: qtype, Err: err}
}

// alias follows the CNAMEs of an answer from name on and returns the last.
func alias(m *dns.Msg, name string) (string, error) {
	for range maxChain {
		next := ""
		for _, rr := range m.Answer {
			if c, ok := rr.(*dns.CNAME); ok && strings.EqualFold(c.Hdr.Name, name) {
				next = c.Target
				break
			}
		}
		if next == "" {
			return name, nil
		}
		name = next
	}
	return "", errors.New("CNAMEs go round in a circle")
}
