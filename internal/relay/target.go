package relay

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
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

// destination is where the mail of a group of recipients goes.
type destination struct {
	name   string          // of the lane: the domain, or the targets of the route
	domain string          // in A-labels and lower case, or an address literal
	route  *control.Route  // nil: by MX
	source *control.Source // nil: the system chooses
	tls    string          // what of control/tls-policy applies to the domain
}

// targets are where the destination's mail may go, in the order in which they are tried.
func (d destination) targets() []control.RouteTarget {
	if d.route == nil {
		return []control.RouteTarget{{Kind: control.ToMX}}
	}
	return d.route.Targets
}

// named is the name of a lane.
func (d destination) named() string {
	if d.route == nil {
		return d.domain
	}
	words := []string{}
	for _, t := range d.route.Targets {
		if t.Kind == control.ToMX {
			words = append(words, d.domain)
		} else {
			words = append(words, t.String())
		}
	}
	return strings.Join(words, " ")
}

// together tells apart what cannot be sent together: domains with one route may have
// rows of their own in other tables.
func (d destination) together() string {
	text := d.name + " by " + d.tls
	if d.source != nil {
		text += " from " + d.source.Where
	}
	return text
}

// exchanger is a host that a destination's mail may go to.
type exchanger struct {
	name     string
	pref     uint16
	port     uint16
	routed   bool // a row names it
	implicit bool // TLS begins before the greeting
}

// Resolver answers the DNS queries of relaying.
type Resolver interface {
	MX(ctx context.Context, domain string) ([]dns.MX, error)
	Addrs(ctx context.Context, host string) ([]netip.Addr, error)
}

const (
	dnsTrouble = "4.4.3"  // the DNS does not answer (RFC 3463 3.5)
	nullMX     = "5.1.10" // the domain accepts no mail (RFC 7505 4.2)
)

func permanent(reply int, enhanced, format string, args ...any) *status.Error {
	return &status.Error{Exit: status.Unavailable, Reply: reply, Enhanced: enhanced, Text: fmt.Sprintf(format, args...)}
}

// destination finds out where mail of a sender for an address goes: by a row of
// control/routes or control/sender-routes, else by the MX of its domain.
func (r *Relay) destination(from, address string, t *explain.Trail) (destination, error) {
	a, err := addr.Parse(address)
	if err != nil || a.Domain == "" {
		return destination{}, permanent(553, "5.1.3", "%+q is not an address with a domain", address)
	}
	d := destination{domain: strings.ToLower(a.Domain)}
	if _, literal := addr.Literal(a.Domain); !literal {
		if d.domain, err = dns.ASCII(a.Domain); err != nil {
			return destination{}, permanent(550, "5.1.2", "%v", err)
		}
	}
	t.Add("domain", d.domain, "")
	if d.route = r.Via; d.route == nil {
		if d.route, err = r.Control.RouteFrom(from, d.domain); err != nil {
			return destination{}, err
		}
	}
	if d.source, err = r.Control.Source(from, d.domain); err != nil {
		return destination{}, err
	}
	d.name = d.named()
	if d.tls, err = r.tls.Group(d.domain); err != nil {
		return destination{}, err
	}
	if d.route != nil {
		for _, target := range d.route.Targets {
			t.Add("route", target.String(), d.route.Where)
		}
	}
	return d, nil
}

// exchangers returns the hosts of a target in the order in which they are tried (RFC
// 5321 5.1).
func (r *Relay) exchangers(ctx context.Context, look Resolver, d destination, to control.RouteTarget,
	t *explain.Trail) ([]exchanger, error) {
	if to.Host != "" {
		port, err := strconv.ParseUint(to.Port, 10, 16)
		if err != nil {
			return nil, status.Ours("4.3.5", "", fmt.Sprintf("%s: port %s: %v", d.route.Where, to.Port, err), err)
		}
		return []exchanger{{name: to.Host, port: uint16(port), routed: true, implicit: to.Kind == control.ToTLS}}, nil
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

// byMX looks up the MX records. A domain without any is its own mail host (RFC 5321
// 5.1); one with a null MX does not accept mail (RFC 7505).
func (r *Relay) byMX(ctx context.Context, look Resolver, domain string, t *explain.Trail) ([]exchanger, error) {
	mx, err := look.MX(ctx, domain)
	switch {
	case errors.Is(err, dns.ErrNoData):
		t.Add("mx", "none, so the domain's own address", "DNS MX "+domain)
		return []exchanger{{name: domain, port: r.port}}, nil
	case errors.Is(err, dns.ErrNoDomain), errors.Is(err, dns.ErrBadName):
		return nil, permanent(550, "5.1.2", "the domain %s does not exist", domain)
	case err != nil:
		return nil, status.Ours(dnsTrouble, status.Public(err), err.Error(), err)
	case len(mx) == 1 && mx[0].Host == "":
		t.Add("mx", ".", "DNS MX "+domain)
		return nil, permanent(556, nullMX, "the domain %s does not accept mail (null MX)", domain)
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

// withoutUs removes this host and all hosts that are not preferred to it, or mail would
// loop (RFC 5321 5.1).
func (r *Relay) withoutUs(d destination, list []exchanger, t *explain.Trail) ([]exchanger, error) {
	own, err := r.Control.Hostname()
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(list, func(x exchanger) bool { return strings.EqualFold(x.name, own) })
	if i < 0 {
		return list, nil
	}
	t.Add("loop", own+" is this host, so it and all hosts that are not preferred to it are left out", "control/hostname")
	better := slices.DeleteFunc(slices.Clone(list), func(x exchanger) bool { return x.pref >= list[i].pref })
	if len(better) == 0 {
		if where, _, err := r.Control.RelayTo(d.domain); err != nil {
			return nil, err
		} else if where != "" { // a setting of ours never fails a message permanently
			return nil, status.Ours("4.4.6", fmt.Sprintf("this host, %s, is itself the best MX of %s", own, d.domain),
				fmt.Sprintf("%s: this host, %s, is itself the best MX of %s", where, own, d.domain), nil)
		}
		return nil, permanent(554, "5.4.6",
			"mail for %s loops back to myself: this host, %s, is its best MX, but the domain is not local", d.domain, own)
	}
	return better, nil
}
