package dnsbl

import (
	"fmt"
	"net/netip"
	"slices"
)

// sixOf is an address of IPv4 as IPv6 lists have it: netip would look for it among those of
// IPv4.
func sixOf(ip netip.Addr) netip.Addr { return netip.AddrFrom16(ip.As16()) }

// useless says why the answers of the list mean nothing, or returns "". codes are those
// for the client, tested those for tests.
func (l *list) useless(codes []netip.Addr, tested []lookup) string {
	for _, code := range codes {
		if l.refuses(code) {
			return fmt.Sprintf("it answers %s: it refuses our resolver", code)
		}
	}
	listed := func(i int) bool { return slices.ContainsFunc(tested[i].codes, inLoopback) }
	for i := 0; i < len(tested); i += 2 {
		if listed(i) {
			return fmt.Sprintf("it has 127.0.0.1 on it (%s), so it may have every address", tested[i].codes[0])
		}
	}
	for i := 1; i < len(tested); i += 2 {
		if listed(i) || tested[i].err != nil {
			return ""
		}
	}
	return "it lacks 127.0.0.2, so it is out of order"
}

// refuses reports whether a code means that the list does not answer us: 127.255.255.x
// always, 127.0.0.1 and 127.0.0.255 unless a row asks for them.
func (l *list) refuses(code netip.Addr) bool {
	if !inLoopback(code) {
		return false
	}
	switch b := code.As4(); {
	case b[1] == 255 && b[2] == 255:
		return true
	case b != [4]byte{127, 0, 0, 1} && b != [4]byte{127, 0, 0, 255}:
		return false
	}
	for _, row := range l.rows {
		if row.Codes != nil && row.Codes.Match(code) {
			return false
		}
	}
	return true
}
