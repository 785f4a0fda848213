package listen

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	"paperpath/internal/status"
)

// Limits says how many connections a server accepts, and from whom.
type Limits struct {
	Max        int                   // connections at a time; 0: no limit
	MaxPerAddr int                   // from one IPv4 address or IPv6 /64; 0: no limit
	Owner      int                   // uid of the home's owner, of Unix sockets
	Exempt     func(netip.Addr) bool // addresses without a limit of their own; nil: none
	// Proxy reports whether a peer sends a PROXY header, and must; nil: none does.
	// After an error, which has been logged, the peer is asked to try again.
	Proxy func(netip.Addr) (bool, error)
	// Often counts a connection of a client that is not exempt, and reports whether
	// it has had too many lately; nil: no limit.
	Often func(Origin) bool
}

// Origin is what counts as one client: an IPv4 address, the /64 of an IPv6 address, or
// a local user on a Unix socket; "" for what is not counted.
type Origin string

// Client returns conn with the client that the PROXY header names, if the peer is one
// that sends it. An error that is not a status.Error is about the header.
func (l Limits) Client(conn net.Conn) (net.Conn, error) {
	ip := IP(conn.RemoteAddr())
	if l.Proxy == nil || !ip.IsValid() {
		return conn, nil
	}
	if proxied, err := l.Proxy(ip); err != nil {
		return nil, status.Temp("4.3.5", "it is not known who is a proxy", err)
	} else if !proxied {
		return conn, nil
	}
	return readProxy(conn, proxyTime)
}

// Refusal counts a connection and returns the name of the limit that it exceeds, or "".
// It does not look at the connections that are open.
func (l Limits) Refusal(client net.Conn) string {
	if from := l.origin(client); l.Often != nil && from != "" && l.Often(from) {
		return "client-connections"
	}
	return ""
}

// origin returns the Origin of a connection by its address: "" for a Unix socket and
// for an exempt client.
func (l Limits) origin(client net.Conn) Origin {
	ip := IP(client.RemoteAddr())
	if !ip.IsValid() || l.Exempt != nil && l.Exempt(ip) {
		return ""
	}
	return OriginOf(ip)
}

// claim is a client's share of a server's connections.
type claim struct {
	from Origin
	most int // connections of its own; 0: no limit
	room int // connections of all clients with its first one; 0: no limit
	more int // the same for each further one
}

// claim returns the share of a client. A tenth of all connections is kept for clients
// that have none yet. On a Unix socket a user has an eighth, and another tenth is kept
// for root and the owner of the home, who have no limit.
func (l Limits) claim(client net.Conn) claim {
	if cred, err := PeerCred(client); err == nil && cred != nil {
		return l.ofUser(int(cred.Uid))
	}
	c := claim{from: l.origin(client), most: l.MaxPerAddr, more: l.Max - l.Max/10}
	if ip := IP(client.RemoteAddr()); c.from == "" && ip.IsValid() {
		c.from, c.most = OriginOf(ip), 0
	}
	return c
}

// ofUser returns the share of a local user.
func (l Limits) ofUser(uid int) claim {
	c := claim{from: Origin(fmt.Sprintf("uid %d", uid))}
	if uid == 0 || uid == l.Owner || l.Max <= 0 {
		return c
	}
	c.most = max(4, l.Max/8)
	c.room = l.Max - max(1, l.Max/10)
	c.more = c.room - l.Max/10
	return c
}

// How long a client may take to its first command while a server is nearly full:
// mostHaste when four fifths of the connections are in use, leastHaste when all are.
const (
	mostHaste  = 30 * time.Second
	leastHaste = 10 * time.Second
)

// haste returns that time when used of most connections are in use, 0 for no limit. A
// server with fewer than ten connections has none to spare.
func haste(used, most int) time.Duration {
	if over := 5*used - 4*most; most >= 10 && over > 0 {
		return mostHaste - (mostHaste-leastHaste)*time.Duration(min(over, most))/time.Duration(most)
	}
	return 0
}

// OriginOf returns the Origin of an address.
func OriginOf(ip netip.Addr) Origin {
	ip = ip.Unmap()
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	p, _ := ip.Prefix(bits)
	return Origin(p.String())
}
