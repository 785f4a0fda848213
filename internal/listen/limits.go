package listen

import (
	"fmt"
	"net"
	"net/netip"
)

// Limits is how many connections a server takes, and from whom.
type Limits struct {
	Max        int                   // connections at a time; 0: no limit
	MaxPerAddr int                   // from one IPv4 address or IPv6 /64; 0: no limit
	Exempt     func(netip.Addr) bool // from what is by address; nil: nobody is
	Proxy      func(netip.Addr) bool // sends a PROXY header, and must; nil: nobody
	// Often counts a connection from what is not exempt, and says that they
	// are too many lately; nil: they never are.
	Often func(Origin) bool
}

// Origin is what counts as one client: an IPv4 address, the /64 that an IPv6
// host has to itself, or a user of this machine behind a Unix socket; ""
// counts for nobody.
type Origin string

// Client returns conn with the client that the peer's PROXY header tells,
// where the peer is one that sends it.
func (l Limits) Client(conn net.Conn) (net.Conn, error) {
	if ip := IP(conn.RemoteAddr()); l.Proxy == nil || !ip.IsValid() || !l.Proxy(ip) {
		return conn, nil
	}
	return readProxy(conn, proxyTime)
}

// Refusal counts a connection, and names the limit that it is beyond, or "".
// Who else has connections is not looked at.
func (l Limits) Refusal(client net.Conn) string {
	if from := l.origin(client); l.Often != nil && from != "" && l.Often(from) {
		return "client-connections"
	}
	return ""
}

// origin is whom a connection counts for by its address: nobody for a Unix
// socket and for who is exempt.
func (l Limits) origin(client net.Conn) Origin {
	ip := IP(client.RemoteAddr())
	if !ip.IsValid() || l.Exempt != nil && l.Exempt(ip) {
		return ""
	}
	return OriginOf(ip)
}

// share returns whom a connection counts for, and how many that one may have at
// a time. Of a Unix socket each user has half, so that none keeps the others
// out.
func (l Limits) share(client net.Conn) (Origin, int) {
	if cred, err := PeerCred(client); err == nil && cred != nil {
		return Origin(fmt.Sprintf("uid %d", cred.Uid)), (l.Max + 1) / 2
	}
	return l.origin(client), l.MaxPerAddr
}

// OriginOf returns what an address counts for.
func OriginOf(ip netip.Addr) Origin {
	ip = ip.Unmap()
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	p, _ := ip.Prefix(bits)
	return Origin(p.String())
}
