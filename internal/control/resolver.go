package control

import (
	"net"
	"net/netip"
	"strings"
)

// trustAD is the word for a server whose AD bit is believed, as resolv.conf(5) has it.
const trustAD = "trust-ad"

// resolver is a DNS server.
type resolver struct {
	server  string // address:port
	trusted bool
}

// Resolver returns the DNS server to ask, as address:port, or "" for the system's, and
// whether it is trusted when it says that an answer is authentic (DNSSEC).
func (c *Control) Resolver() (server string, trusted bool, err error) {
	r, err := one[resolver](c, "resolver")
	return r.server, r.trusted, err
}

func parseResolver(s string) (r resolver, wrong string) {
	words := strings.Fields(s)
	if r.trusted = len(words) > 1; len(words) > 2 || r.trusted && words[1] != trustAD {
		return r, "has more than an address and the word " + trustAD
	}
	address := words[0]
	if ip, err := netip.ParseAddr(address); err == nil {
		r.server = net.JoinHostPort(ip.String(), "53")
		return r, ""
	}
	if ap, err := netip.ParseAddrPort(address); err == nil && ap.Port() != 0 {
		r.server = ap.String()
		return r, ""
	}
	return r, "is not address:port (127.0.0.1:53, [::1]:53)"
}
