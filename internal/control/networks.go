package control

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Networks are the rows of control/proxyfrom or control/xclientfrom.
type Networks struct {
	control *Control
	rows    contents[netip.Prefix]
}

// ProxyFrom returns the networks whose hosts begin each connection with a
// PROXY header.
func (c *Control) ProxyFrom() (Networks, error) { return c.networks("proxyfrom") }

// XClientFrom returns the networks whose hosts may use XCLIENT.
func (c *Control) XClientFrom() (Networks, error) { return c.networks("xclientfrom") }

func (c *Control) networks(name string) (Networks, error) {
	return query(c, networksFile(c, name), func(t contents[netip.Prefix]) (Networks, bool, error) {
		// The caller looks for one address and may not find it, so we always wait for
		// what a changing file may still lack.
		return Networks{c, t.in()}, false, nil
	})
}

// Has reports whether ip is in one of the networks. The error is temporary: a broken
// row may be about ip, and without that row a host that speaks for others would
// itself be taken for the client. So an address that is trusted (loopback,
// control/relayfrom), or in the network of the broken row, gets the error for as long
// as the row is broken, and any other for a day.
func (n Networks) Has(ip netip.Addr) (bool, error) {
	ip = ip.Unmap()
	if !ip.IsValid() || slices.ContainsFunc(n.rows.list(),
		func(p netip.Prefix) bool { return p.Contains(ip) }) {
		return ip.IsValid(), nil
	}
	if err := n.control.hiddenFor(ip, n.rows.broken, n.rows.hiding); err != nil || len(n.rows.hiding) == 0 {
		return false, err
	}
	relays, err := n.control.RelayFrom()
	if err == nil && (ip.IsLoopback() || relays.Has(ip)) {
		err = n.control.temporary(rowError{n.rows.hiding[0]})
	}
	return false, err
}

// hiddenFor returns a temporary error if a broken row of a table of networks may be
// about ip: its network contains ip or, for a day, cannot be read.
func (c *Control) hiddenFor(ip netip.Addr, broken, hiding []brokenRow) error {
	for _, b := range broken {
		if p, err := netip.ParsePrefix(b.Key); err == nil && p.Contains(ip.Unmap()) {
			return c.temporary(rowError{b})
		}
	}
	return c.hidden(hiding)
}

func networksFile(c *Control, name string) file[contents[netip.Prefix]] {
	return networksTable(name).file(c)
}

// networksTable has one address or network a line.
func networksTable(name string) table[netip.Prefix] {
	return table[netip.Prefix]{
		name: name, repeats: true, bare: true,
		form: "a row is an address or a network, and nothing else",
		key: func(text string) string {
			p, wrong := parseNetwork(strings.Trim(text, " \t"))
			if wrong != "" {
				return ""
			}
			return p.String()
		},
		parse: func(_, text string) ([]entry[netip.Prefix], error) {
			text = strings.Trim(text, " \t")
			p, wrong := parseNetwork(text)
			if wrong != "" {
				return nil, fmt.Errorf("%q %s", text, wrong)
			}
			return []entry[netip.Prefix]{{p.String(), p}}, nil
		},
	}
}

func parseNetwork(s string) (netip.Prefix, string) {
	if ip, err := netip.ParseAddr(s); err == nil && ip.Zone() == "" {
		ip = ip.Unmap()
		return netip.PrefixFrom(ip, ip.BitLen()), ""
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return p, "is neither an address nor a network (192.0.2.0/24, 2001:db8::/32)"
	case p != p.Masked():
		return p, "has bits set beyond its prefix length (" + p.Masked().String() + "?)"
	}
	return p, ""
}
