package control

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"paperpath/internal/addr"
)

// Relays are the rows of control/relayfrom.
type Relays []relayRow

// relayRow is a network whose hosts may send anywhere, and the addresses other than
// ours whose mail they send.
type relayRow struct {
	network netip.Prefix
	paths   []string // folded: an address, or "@domain"
}

// RelayFrom returns the networks whose hosts may send to any destination, except
// those of broken rows: a caller that refuses a host because it is in none of them
// must ask RelayHidden first.
func (c *Control) RelayFrom() (Relays, error) {
	return query(c, relaysFile(c), func(t contents[relayRow]) (Relays, bool, error) {
		return t.in().list(), false, nil // as in networks: wait for what a changing file may still lack
	})
}

// RelayHidden returns a temporary error if a broken row may be about ip: its network
// contains ip or, for a day, cannot be read.
func (c *Control) RelayHidden(ip netip.Addr) error {
	t, _, err := load(c, relaysFile(c))
	if err != nil || len(t.broken) == 0 || !ip.IsValid() {
		return err
	}
	return c.hiddenFor(ip, t.broken, t.hiding)
}

func relaysFile(c *Control) file[contents[relayRow]] { return relaysTable().file(c) }

// relaysTable has one network a row, followed by the reverse paths of its mail.
func relaysTable() table[relayRow] {
	return table[relayRow]{
		name: "relayfrom", repeats: true,
		form: "a row is a network and, behind blanks, reverse paths: `192.0.2.0/24 @shop.example`",
		key: func(text string) string {
			words := strings.Fields(text)
			if len(words) == 0 {
				return ""
			}
			p, wrong := parseNetwork(words[0])
			if wrong != "" {
				return ""
			}
			return p.String()
		},
		parse: func(_, text string) ([]entry[relayRow], error) {
			row, err := parseRelay(strings.Fields(text))
			return []entry[relayRow]{{row.network.String(), row}}, err
		},
	}
}

// Has reports whether ip is in one of the networks.
func (r Relays) Has(ip netip.Addr) bool {
	ip = ip.Unmap()
	return slices.ContainsFunc(r, func(row relayRow) bool { return row.network.Contains(ip) })
}

// Names reports whether a row whose network contains ip names the reverse path
// address, or its domain: reports about that mail may go there.
func (r Relays) Names(ip netip.Addr, address string) bool {
	ip = ip.Unmap()
	address = addr.FoldAddress(address)
	_, domain := addr.Split(address)
	return slices.ContainsFunc(r, func(row relayRow) bool {
		return row.network.Contains(ip) &&
			(slices.Contains(row.paths, address) || slices.Contains(row.paths, "@"+domain))
	})
}

func parseRelay(words []string) (row relayRow, err error) {
	if len(words) == 0 { // only blanks that are not ASCII
		return row, errors.New("there is no network")
	}
	p, wrong := parseNetwork(words[0])
	if wrong != "" {
		return row, fmt.Errorf("%q %s", words[0], wrong)
	}
	row.network = p
	for _, word := range words[1:] {
		path, wrong := reversePath(word)
		if wrong != "" {
			return row, fmt.Errorf("reverse path %q %s", word, wrong)
		}
		row.paths = append(row.paths, path)
	}
	return row, nil
}

// reversePath parses an address, "@domain" or "domain". There is no word for any
// address: a host must not be able to direct reports to whatever address it claims.
func reversePath(word string) (path, wrong string) {
	if word == "*" {
		return "", "names nobody (name domains or addresses)"
	}
	word = atDomain(word)
	if !strings.Contains(word, "@") {
		word = "@" + word
	}
	if domain, whole := strings.CutPrefix(word, "@"); whole {
		return "@" + addr.FoldDomain(domain), reason(addr.CheckDomain(domain))
	}
	return addr.FoldAddress(word), reason(addr.CheckAddress(word))
}
