package control

import (
	"net/netip"
	"strings"
)

// senderRow is a row of control/senders.
type senderRow struct {
	patterns []string
	where    string
}

func sendersFile() file[map[string]senderRow] {
	return file[map[string]senderRow]{name: "senders", max: maxTable, parse: parseSenders}
}

func parseSenders(name string, data []byte) (map[string]senderRow, error) {
	rs, err := rows(name, data)
	if err != nil {
		return nil, err
	}
	t := make(map[string]senderRow, len(rs))
	for _, r := range rs {
		patterns := strings.Fields(r.value)
		for _, p := range patterns {
			if err := checkPattern(p); err != nil {
				return nil, fail(name, r.n, "sender %q %v", p, err)
			}
		}
		t[foldAddress(r.key)] = senderRow{patterns, where(name, r.n)}
	}
	return t, nil
}

// checkPattern refuses what is none of `*`, `@domain` and an address.
func checkPattern(p string) error {
	if p == "*" {
		return nil
	}
	if domain, ok := strings.CutPrefix(p, "@"); ok {
		return CheckDomain(domain)
	}
	return CheckAddress(p)
}

// Senders returns which reverse paths and From addresses the submitter login
// may use beside its own: addresses, `@domain` for a whole one, `*` for any.
// The logins `local` and `local/USER` stand for callers on this machine.
// nil patterns without an error say that there is no row.
func (c *Control) Senders(login string) (patterns []string, source string, err error) {
	key := foldAddress(login)
	r, err := query(c, sendersFile(), func(t map[string]senderRow) (senderRow, bool) {
		r, ok := t[key]
		return r, ok
	})
	return append([]string(nil), r.patterns...), r.where, err
}

// RelayFrom returns the networks whose hosts may send to any destination.
func (c *Control) RelayFrom() ([]netip.Prefix, error) {
	f := file[[]netip.Prefix]{name: "relayfrom", max: maxTable, parse: parseNetworks}
	return query(c, f, func(t []netip.Prefix) ([]netip.Prefix, bool) {
		// The caller looks for one address and may not find it: what a
		// changing file lacks is always waited for.
		return append([]netip.Prefix(nil), t...), false
	})
}

// parseNetworks reads an address or a network a line.
func parseNetworks(name string, data []byte) ([]netip.Prefix, error) {
	ls, err := items(name, data)
	if err != nil {
		return nil, err
	}
	var out []netip.Prefix
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
