package listen

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	"paperpath/internal/status"
)

// Limits is how many connections a server takes, and from whom.
type Limits struct {
	Max        int                   // connections at a time; 0: no limit
	MaxPerAddr int                   // from one IPv4 address or IPv6 /64; 0: no limit
	Owner      int                   // uid of the home's owner, of Unix sockets
	Exempt     func(netip.Addr) bool // from what is by address; nil: nobody is
	// Proxy reports who sends a PROXY header, and must; nil: nobody. After an
	// error, which has been logged, the peer is told to try again.
	Proxy func(netip.Addr) (bool, error)
	// Often counts a connection from what is not exempt, and says that they
	// are too many lately; nil: they never are.
	Often func(Origin) bool
}

// Origin is what counts as one client: an IPv4 address, the /64 that an IPv6
// host has to itself, or a user of this machine behind a Unix socket; ""
// counts for nobody.
type Origin string

// Client returns conn with the client that the peer's PROXY header tells,
// where the peer is one that sends it. An error that is no status.Error is that
// of the header.
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

// claim is what a client may have of a server's connections.
type claim struct {
	from Origin
	most int // connections of its own; 0: no limit
	room int // connections of all, for its first one; 0: no limit
	more int // the same for each further one
}

// claim returns what a client may have. A tenth of all stays for those who have
// none yet. Of a Unix socket a user has an eighth, and another tenth stays for
// root and the owner of the home, whom nobody limits.
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

// ofUser is what a user of this machine may have.
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

// The time that a client gets for its first words while a server is nearly
// full: the most where four fifths of its connections are taken, the least
// where all are.
const (
	mostHaste  = 30 * time.Second
	leastHaste = 10 * time.Second
)

// haste is that time where used of most connections are taken, 0 where no haste
// is needed. A server with few of them has none to keep.
func haste(used, most int) time.Duration {
	if over := 5*used - 4*most; most >= 10 && over > 0 {
		return mostHaste - (mostHaste-leastHaste)*time.Duration(min(over, most))/time.Duration(most)
	}
	return 0
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
