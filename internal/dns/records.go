package dns

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"paperpath/internal/addr"
	"paperpath/internal/status"
)

// MX is a mail exchanger.
type MX struct {
	Host string // lower case, without a trailing dot; "" in a null MX
	Pref uint16 // the lowest is to be tried first
}

// MX returns the mail exchangers of a domain, the lowest preference first. An empty host
// is the null MX (RFC 7505): the domain accepts no mail.
func (r *Resolver) MX(ctx context.Context, domain string) ([]MX, error) {
	a, err := r.Ask(ctx, domain, TypeMX)
	if err != nil {
		return nil, err
	}
	var list []MX
	null := false
	for _, rec := range a.Records {
		if rec.Host == "." {
			null = true // beside others it is ignored (RFC 7505 3)
		} else if host, ok := cleanName(rec.Host); ok {
			list = append(list, MX{Host: host, Pref: rec.Pref})
		}
	}
	switch {
	case len(list) > 0:
		slices.SortStableFunc(list, func(a, b MX) int { return int(a.Pref) - int(b.Pref) })
		return list, nil
	case null:
		return []MX{{}}, nil
	}
	return nil, unusable(len(a.Records), domain, "MX")
}

// TXT returns the TXT records of a name, the strings of each joined. Their octets are
// whatever a stranger wrote.
func (r *Resolver) TXT(ctx context.Context, name string) ([]string, error) {
	a, err := r.Ask(ctx, name, TypeTXT)
	if err != nil {
		return nil, err
	}
	list := make([]string, len(a.Records))
	for i, rec := range a.Records {
		list[i] = rec.Text
	}
	return list, nil
}

// PTR returns the names of an address in the reverse DNS, in lower case and without a
// trailing dot. Anybody may claim any name there.
func (r *Resolver) PTR(ctx context.Context, ip netip.Addr) ([]string, error) {
	arpa := ReverseName(ip)
	a, err := r.Ask(ctx, arpa, TypePTR)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, rec := range a.Records {
		if name, ok := cleanName(rec.Host); ok {
			list = append(list, name)
		}
	}
	if len(list) == 0 {
		return nil, unusable(len(a.Records), arpa, "PTR")
	}
	return list, nil
}

// A returns the IPv4 addresses that the DNS has for a name, such as the answer of a list
// (RFC 5782). The hosts file does not count.
func (r *Resolver) A(ctx context.Context, name string) ([]netip.Addr, error) {
	a, err := r.Ask(ctx, name, TypeA)
	if err != nil {
		return nil, err
	}
	list := make([]netip.Addr, len(a.Records))
	for i, rec := range a.Records {
		list[i] = rec.Addr
	}
	return list, nil
}

// Addrs returns the addresses of a host, IPv6 and IPv4 alternating. The hosts file comes
// before the DNS. An IP address is its own address.
func (r *Resolver) Addrs(ctx context.Context, host string) ([]netip.Addr, error) {
	if ip, ok := addr.IP(host); ok {
		return []netip.Addr{ip.Unmap()}, nil
	}
	name, err := ASCII(host)
	if err != nil {
		return nil, err
	}
	list, err := r.known(name)
	if err != nil {
		return nil, noAnswer(err, name, TypeA.String())
	}
	if len(list) > 0 {
		return list, nil
	}
	return r.both(ctx, name)
}

// both asks for the addresses of both families at a time.
func (r *Resolver) both(ctx context.Context, name string) ([]netip.Addr, error) {
	q4, q6 := question{name, TypeA}, question{name, TypeAAAA}
	v6 := r.remembered(q6)
	var later chan *result
	if v6 == nil {
		later = r.lookupBeside(ctx, q6)
	}
	v4 := r.lookup(ctx, q4)
	if v6 == nil {
		v6 = <-later
	}
	if list := inTurn(v6.addrs(), v4.addrs()); len(list) > 0 {
		return list, nil
	}
	return nil, weightier(v4.err, v6.err)
}

// lookupBeside is lookup for those who have something else to do in the meantime.
func (r *Resolver) lookupBeside(ctx context.Context, q question) chan *result {
	later := make(chan *result, 1)
	go func() {
		var res *result
		err := status.Guard(func() error {
			res = r.lookup(ctx, q)
			return nil
		})
		if err != nil {
			res = temporary(err, q, 0)
		}
		later <- res
	}()
	return later
}

// addrs returns the addresses, each once.
func (r *result) addrs() []netip.Addr {
	if len(r.records) == 0 {
		return nil
	}
	list := make([]netip.Addr, 0, len(r.records))
	for _, rec := range r.records {
		if !slices.Contains(list, rec.Addr) {
			list = append(list, rec.Addr)
		}
	}
	return list
}

// weightier returns the error that decides about a name: if one of the two lookups got
// no answer, nothing is known; NXDOMAIN counts only from both, since some servers give
// it for types that they do not know.
func weightier(a, b *Error) error {
	for _, kind := range []error{ErrTemporary, ErrNoData} {
		for _, err := range []*Error{a, b} {
			if errors.Is(err, kind) {
				return err
			}
		}
	}
	return a
}

// inTurn merges the families alternately, so that a limit on tries excludes neither.
func inTurn(a, b []netip.Addr) []netip.Addr {
	switch {
	case len(b) == 0:
		return a
	case len(a) == 0:
		return b
	}
	list := make([]netip.Addr, 0, len(a)+len(b))
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
