package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"paperpath/internal/dns"
	"paperpath/internal/explain"
	"paperpath/internal/status"
)

// found is what the DNS says of an exchanger: its hosts, or why there are none.
type found struct {
	name    string
	hosts   []host
	failure *failure
}

// equals looks up the exchangers of the next preference, all at the same time, and returns
// what is left of the list. If this machine is one of them, by whatever name, no other of
// that preference is tried and none behind it, or mail would loop (RFC 5321 5.1).
func (r *Relay) equals(ctx context.Context, look *lookups, d destination, list []exchanger,
	t *explain.Trail) (batch []found, rest []exchanger) {
	n := slices.IndexFunc(list, func(x exchanger) bool { return x.pref != list[0].pref })
	if n < 0 {
		n = len(list)
	}
	next, rest := list[:n], list[n:]
	answers := look.addrs(ctx, next)
	for i, x := range next {
		if x.routed {
			continue
		}
		if j := slices.IndexFunc(answers[i].ips, r.mine); j >= 0 {
			ip := answers[i].ips[j]
			t.Add("loop", fmt.Sprintf("%s [%s] is this machine, so it and all hosts that are not preferred to it are left out",
				x.name, ip), "addresses of this machine")
			return []found{{name: x.name, failure: onlyUs(x, fmt.Sprintf("%s [%s] is this machine", x.name, ip))}}, nil
		}
	}
	for i, x := range next {
		f := found{name: x.name}
		f.hosts, f.failure = r.hosts(d, x, answers[i], t)
		batch = append(batch, f)
	}
	return batch, rest
}

// onlyUs is the failure of an exchanger that is no host but us.
func onlyUs(x exchanger, what string) *failure {
	return &failure{host: host{name: x.name}, elsewhere: true, err: status.Ours("4.4.4", what, what+
		": its domain is not in control/domains, and no row of control/routes names another host for it", nil)}
}

// hosts returns the addresses of an exchanger, without those that no host can have
// unless a row names it.
func (r *Relay) hosts(d destination, x exchanger, a answered, t *explain.Trail) ([]host, *failure) {
	f := &failure{host: host{name: x.name}, elsewhere: true}
	switch {
	case errors.Is(a.err, dns.ErrNoDomain), errors.Is(a.err, dns.ErrNoData), errors.Is(a.err, dns.ErrBadName):
		f.err = permanent(550, "5.4.4", "the host %s of %s has no address", x.name, d.domain)
		if x.routed { // a setting of ours never fails a message permanently
			f.err = status.Ours("4.3.5", "the host "+x.name+" has no address",
				fmt.Sprintf("%s: the host %s has no address: %v", d.route.Where, x.name, a.err), a.err)
		}
		return nil, f
	case a.err != nil:
		f.err = status.Ours(dnsTrouble, status.Public(a.err), a.err.Error(), a.err)
		return nil, f
	}
	var list []host
	for _, ip := range a.ips {
		if !x.routed && unusable(ip) {
			t.Add("address", ip.String()+" of "+x.name+" is the address of no other host: left out", "")
			continue
		}
		if ip.String() != x.name {
			t.Add("address", ip.String(), x.name)
		}
		list = append(list, host{name: x.name, addr: netip.AddrPortFrom(ip, x.port), routed: x.routed,
			implicit: x.implicit})
	}
	if len(list) == 0 {
		return nil, onlyUs(x, x.name+" has only addresses that no other host can have")
	}
	return list, nil
}

// unusable reports whether an address is that of no other host.
func unusable(ip netip.Addr) bool { return ip.IsLoopback() || ip.IsUnspecified() || ip.IsMulticast() }

// mine reports whether an interface of this machine has an address, loopback aside: that
// is not where mail for a domain would have come to us.
func (r *Relay) mine(ip netip.Addr) bool {
	local, err := r.local()
	if err != nil || unusable(ip) {
		return false // the connection attempt will show
	}
	return slices.ContainsFunc(local, func(a net.Addr) bool {
		p, err := netip.ParsePrefix(a.String())
		return err == nil && p.Addr().Unmap() == ip
	})
}

// loop is the failure of a host that has our own name, though no row names it: it is this
// machine, behind an address that is none of its interfaces'.
func (r *Relay) loop(s *session) *failure {
	own, err := r.Control.Hostname()
	hello := s.smtp.Hello()
	if err != nil || s.host.routed || len(hello) == 0 || strings.HasPrefix(own, "localhost") {
		return nil
	}
	name, _, _ := strings.Cut(hello[0][min(4, len(hello[0])):], " ") // RFC 5321 4.1.1.1
	if !strings.EqualFold(name, own) {
		return nil
	}
	return &failure{host: s.host, loop: true, err: status.Temp("4.4.6", fmt.Sprintf(
		"%s calls itself %s, which is this host: its domain is not in control/domains", s.host, own), nil)}
}
