package relay

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/dns"
	"paperpath/internal/explain"
	"paperpath/internal/status"
)

// destination is where recipients go together.
type destination struct {
	name   string         // of the lane: the domain, or host:port of the route
	domain string         // in A-labels and lower case, or an address literal
	route  *control.Route // nil: by MX
}

// exchanger is a host that a destination's mail may go to.
type exchanger struct {
	name string
	pref uint16
	port uint16
}

// Resolver is what relaying asks the DNS.
type Resolver interface {
	MX(ctx context.Context, domain string) ([]dns.MX, error)
	Addrs(ctx context.Context, host string) ([]netip.Addr, error)
}

// dnsTrouble is the status where the DNS does not answer (RFC 3463 3.5).
const dnsTrouble = "4.4.3"

func permanent(reply int, enhanced, format string, args ...any) *status.Error {
	return &status.Error{Exit: status.Unavailable, Reply: reply, Enhanced: enhanced, Text: fmt.Sprintf(format, args...)}
}

// destination finds out where an address goes: by the row of control/routes
// for its domain, else by its MX.
func (r *Relay) destination(address string, t *explain.Trail) (destination, error) {
	a, err := addr.Parse(address)
	if err != nil || a.Domain == "" {
		return destination{}, permanent(553, "5.1.3", "%+q is no address with a domain", address)
	}
	d := destination{domain: strings.ToLower(a.Domain)}
	if _, literal := addr.Literal(a.Domain); !literal {
		if d.domain, err = dns.ASCII(a.Domain); err != nil {
			return destination{}, permanent(550, "5.1.2", "%v", err)
		}
	}
	t.Add("domain", d.domain, "")
	if d.route = r.Via; d.route == nil {
		if d.route, err = r.Control.Route(d.domain); err != nil {
			return destination{}, err
		}
	}
	d.name = d.domain
	if d.route != nil {
		d.name = net.JoinHostPort(d.route.Host, d.route.Port)
		t.Add("route", d.name, d.route.Where)
	}
	return d, nil
}

// exchangers returns the hosts of a destination in the order in which they are
// to be tried (RFC 5321 5.1).
func (r *Relay) exchangers(ctx context.Context, look Resolver, d destination, t *explain.Trail) ([]exchanger, error) {
	if d.route != nil {
		port, err := strconv.ParseUint(d.route.Port, 10, 16)
		if err != nil {
			return nil, status.Temp("4.3.5", d.route.Where+": port "+d.route.Port, err)
		}
		return []exchanger{{name: d.route.Host, port: uint16(port)}}, nil
	}
	if ip, literal := addr.Literal(d.domain); literal {
		t.Add("address literal", ip.String(), "RFC 5321 4.1.3")
		return []exchanger{{name: ip.Unmap().String(), port: r.port}}, nil
	}
	list, err := r.byMX(ctx, look, d.domain, t)
	if err != nil {
		return nil, err
	}
	return r.withoutUs(d, list, t)
}

// byMX looks the MX up. A domain without one is its own (RFC 5321 5.1); one
// with a null MX takes no mail (RFC 7505).
func (r *Relay) byMX(ctx context.Context, look Resolver, domain string, t *explain.Trail) ([]exchanger, error) {
	mx, err := look.MX(ctx, domain)
	switch {
	case errors.Is(err, dns.ErrNoData):
		t.Add("mx", "none, so the domain's own address", "DNS MX "+domain)
		return []exchanger{{name: domain, port: r.port}}, nil
	case errors.Is(err, dns.ErrNoDomain), errors.Is(err, dns.ErrBadName):
		return nil, permanent(550, "5.1.2", "the domain %s does not exist", domain)
	case err != nil:
		return nil, status.Temp(dnsTrouble, err.Error(), nil)
	case len(mx) == 1 && mx[0].Host == "":
		t.Add("mx", ".", "DNS MX "+domain)
		return nil, permanent(556, "5.1.10", "the domain %s takes no mail (null MX)", domain)
	}
	var list []exchanger
	for _, x := range mx {
		list = append(list, exchanger{name: x.Host, pref: x.Pref, port: r.port})
		t.Add("mx", fmt.Sprintf("%d %s", x.Pref, x.Host), "DNS MX "+domain)
	}
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	slices.SortStableFunc(list, func(a, b exchanger) int { return int(a.pref) - int(b.pref) })
	return list, nil
}

// withoutUs leaves out this host and all that are no better, or mail would go
// round in circles (RFC 5321 5.1).
func (r *Relay) withoutUs(d destination, list []exchanger, t *explain.Trail) ([]exchanger, error) {
	own, err := r.Control.Hostname()
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(list, func(x exchanger) bool { return strings.EqualFold(x.name, own) })
	if i < 0 {
		return list, nil
	}
	t.Add("loop", own+" is this host, so it and the hosts behind it are left out", "control/hostname")
	better := slices.DeleteFunc(slices.Clone(list), func(x exchanger) bool { return x.pref >= list[i].pref })
	if len(better) == 0 {
		return nil, permanent(554, "5.4.6",
			"mail for %s loops back: this host, %s, is its best MX but does not take it", d.domain, own)
	}
	return better, nil
}

// hosts returns the addresses of an exchanger. One that only a stranger's DNS
// entry leads to is never this machine.
func (r *Relay) hosts(ctx context.Context, look Resolver, d destination, x exchanger, t *explain.Trail) ([]host, *failure) {
	ips, err := look.Addrs(ctx, x.name)
	f := &failure{host: host{name: x.name}, elsewhere: true}
	switch {
	case errors.Is(err, dns.ErrNoDomain), errors.Is(err, dns.ErrNoData), errors.Is(err, dns.ErrBadName):
		f.err = permanent(550, "5.4.4", "the host %s of %s has no address", x.name, d.domain)
		if d.route != nil { // our own setting never fails a message
			f.err = status.Temp("4.3.5", fmt.Sprintf("%s: the host %s has no address", d.route.Where, x.name), err)
		}
		return nil, f
	case err != nil:
		f.err = status.Temp(dnsTrouble, err.Error(), nil)
		return nil, f
	}
	var list []host
	for _, ip := range ips {
		if d.route == nil && r.ours(ip) {
			t.Add("address", ip.String()+" of "+x.name+" is this machine, left out", "")
			continue
		}
		if ip.String() != x.name {
			t.Add("address", ip.String(), x.name)
		}
		list = append(list, host{name: x.name, addr: netip.AddrPortFrom(ip, x.port), routed: d.route != nil})
	}
	if len(list) == 0 {
		f.err = status.Temp("4.4.4", fmt.Sprintf("the addresses of %s are this machine's own, and no route leads there", x.name), nil)
		return nil, f
	}
	return list, nil
}

// ours reports whether an address is this machine, or nobody's.
func (r *Relay) ours(ip netip.Addr) bool {
	if ip.IsLoopback() || ip.IsUnspecified() || ip.IsMulticast() {
		return true
	}
	local, err := r.local()
	if err != nil {
		return false // the connection will show
	}
	return slices.ContainsFunc(local, func(a net.Addr) bool {
		p, err := netip.ParsePrefix(a.String())
		return err == nil && p.Addr().Unmap() == ip
	})
}
