package control

import (
	"net/netip"
	"slices"
	"strings"
)

// Relays are the rows of control/relayfrom.
type Relays []relayRow

// relayRow is a network whose hosts may send anywhere, and whose mail they
// send beside our own.
type relayRow struct {
	network netip.Prefix
	paths   []string // folded: an address, or "@domain"
}

// RelayFrom returns the networks whose hosts may send to any destination.
func (c *Control) RelayFrom() (Relays, error) {
	f, err := fileOf[Relays](c, "relayfrom")
	if err != nil {
		return nil, err
	}
	return query(c, f, func(t Relays) (Relays, bool, error) {
		return t, false, nil // as with networks: what a changing file lacks is waited for
	})
}

// Has reports whether ip is in one of the networks.
func (r Relays) Has(ip netip.Addr) bool {
	ip = ip.Unmap()
	return slices.ContainsFunc(r, func(row relayRow) bool { return row.network.Contains(ip) })
}

// Names reports whether a row whose network holds ip names the reverse path
// address, or its domain: reports about its mail may go there.
func (r Relays) Names(ip netip.Addr, address string) bool {
	ip = ip.Unmap()
	address = FoldAddress(address)
	_, domain := Split(address)
	return slices.ContainsFunc(r, func(row relayRow) bool {
		return row.network.Contains(ip) && (slices.Contains(row.paths, address) || slices.Contains(row.paths, "@"+domain))
	})
}

// parseRelays reads a network a line, and behind it the reverse paths that it
// names.
func parseRelays(name string, data []byte) (Relays, error) {
	ls, err := items(name, data)
	if err != nil {
		return nil, err
	}
	var out Relays
	for _, l := range ls {
		words := strings.Fields(l.text)
		p, wrong := parseNetwork(words[0])
		if wrong != "" {
			return nil, fail(name, l.n, "%q %s", words[0], wrong)
		}
		row := relayRow{network: p}
		for _, word := range words[1:] {
			path, wrong := reversePath(word)
			if wrong != "" {
				return nil, fail(name, l.n, "reverse path %q %s", word, wrong)
			}
			row.paths = append(row.paths, path)
		}
		out = append(out, row)
	}
	return out, nil
}

// reversePath reads an address, "@domain" or "domain". There is no word for
// any: a report must not go to whomever a host claims to be.
func reversePath(word string) (path, wrong string) {
	if word == "*" {
		return "", "names nobody (name domains or addresses)"
	}
	word = atDomain(word)
	if !strings.Contains(word, "@") {
		word = "@" + word
	}
	if domain, whole := strings.CutPrefix(word, "@"); whole {
		return "@" + FoldDomain(domain), reason(CheckDomain(domain))
	}
	return FoldAddress(word), reason(CheckAddress(word))
}
