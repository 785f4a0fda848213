package control

import (
	"net/netip"
	"slices"
)

// Networks is a list of addresses and networks.
type Networks []netip.Prefix

// Has reports whether ip is in one of the networks.
func (n Networks) Has(ip netip.Addr) bool {
	ip = ip.Unmap()
	return slices.ContainsFunc(n, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// ProxyFrom returns the networks whose hosts begin each connection with a
// PROXY header.
func (c *Control) ProxyFrom() (Networks, error) { return c.networks("proxyfrom") }

// XClientFrom returns the networks whose hosts may use XCLIENT.
func (c *Control) XClientFrom() (Networks, error) { return c.networks("xclientfrom") }

func (c *Control) networks(name string) (Networks, error) {
	f, err := fileOf[Networks](c, name)
	if err != nil {
		return nil, err
	}
	return query(c, f, func(t Networks) (Networks, bool, error) {
		// The caller looks for one address and may not find it: what a
		// changing file lacks is always waited for.
		return t, false, nil
	})
}

// parseNetworks reads an address or a network a line.
func parseNetworks(name string, data []byte) (Networks, error) {
	ls, err := items(name, data)
	if err != nil {
		return nil, err
	}
	var out Networks
	for _, l := range ls {
		p, wrong := parseNetwork(l.text)
		if wrong != "" {
			return nil, fail(name, l.n, "%q %s", l.text, wrong)
		}
		out = append(out, p)
	}
	return out, nil
}

func parseNetwork(s string) (netip.Prefix, string) {
	if ip, err := netip.ParseAddr(s); err == nil && ip.Zone() == "" {
		ip = ip.Unmap()
		return netip.PrefixFrom(ip, ip.BitLen()), ""
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return p, "is no address and no network (192.0.2.0/24, 2001:db8::/32)"
	case p != p.Masked():
		return p, "has bits set behind its prefix (" + p.Masked().String() + "?)"
	}
	return p, ""
}
