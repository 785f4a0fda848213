package control

import (
	"fmt"
	"net/netip"
	"strings"

	"paperpath/internal/addr"
)

// forwarder is a row of control/trusted-forwarders.
type forwarder struct {
	network netip.Prefix // invalid: the row is a domain
	where   string
}

// forwardersTable has a network, a domain or `.domain` a line.
func forwardersTable() table[forwarder] {
	return table[forwarder]{
		name: "trusted-forwarders", bare: true,
		form: "a row is an address, a network, a domain or `.domain`, and nothing else",
		key: func(text string) string {
			key, _, err := parseForwarder(text)
			if err != nil {
				return ""
			}
			return key
		},
		parse: func(where, text string) ([]entry[forwarder], error) {
			key, network, err := parseForwarder(text)
			return []entry[forwarder]{{key, forwarder{network, where}}}, err
		},
	}
}

func forwardersFile(c *Control) file[contents[forwarder]] { return forwardersTable().file(c) }

func parseForwarder(text string) (key string, network netip.Prefix, err error) {
	text = strings.Trim(text, " \t")
	if strings.Contains(text, "/") || isAddr(text) {
		p, wrong := parseNetwork(text)
		if wrong != "" {
			return "", p, fmt.Errorf("%q %s", text, wrong)
		}
		return p.String(), p, nil
	}
	if err := addr.CheckDomain(strings.TrimPrefix(text, ".")); err != nil {
		return "", network, fmt.Errorf("%q %w", text, err)
	}
	if last := text[strings.LastIndexByte(text, '.')+1:]; strings.Trim(last, "0123456789") == "" {
		return "", network, fmt.Errorf("%q is neither an address nor a domain", text) // RFC 3696 2
	}
	return foldRouteKey(text), network, nil
}

func isAddr(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

// TrustedForwarder returns the row of control/trusted-forwarders that the host with this
// address is in, or one of the domains, of which SPF or DKIM has proved that they answer
// for the message; "" if there is none. The error is temporary: a broken row may be such a
// one, and the caller refuses what no row names.
func (c *Control) TrustedForwarder(ip netip.Addr, proved []string) (where string, err error) {
	f := forwardersFile(c)
	where, err = query(c, f, func(t contents[forwarder]) (string, bool, error) {
		s := t.in()
		for _, r := range s.list() {
			if r.network.IsValid() && r.network.Contains(ip.Unmap()) {
				return r.where, true, nil
			}
		}
		for _, domain := range proved {
			for _, key := range domainKeys(domain) {
				if r, err := s.row(key); r != nil || err != nil {
					return whereOf(r), true, err
				}
			}
		}
		return "", s.asked(), nil
	})
	if err != nil || where != "" {
		return where, c.temporary(err)
	}
	t, _, err := load(c, f)
	if err != nil {
		return "", err
	}
	return "", c.hiddenFor(ip, t.in().broken, t.in().hiding)
}

func whereOf(r *forwarder) string {
	if r == nil {
		return ""
	}
	return r.where
}
