package listen

import (
	"net"
	"net/netip"
)

// Told is a connection of which somebody in between has told who the client
// is: a wrapper in the environment, or a proxy in a header.
type Told struct {
	net.Conn
	client net.Addr
	rest   []byte // of the input, read behind a header

	host   string // the client's name, "" where it was not told
	relay  bool   // the client may send anywhere
	secure bool   // it speaks TLS with whoever told
}

// RemoteAddr returns the client as it was told.
func (t *Told) RemoteAddr() net.Addr { return t.client }

// Read reads what came behind the header first.
func (t *Told) Read(b []byte) (int, error) {
	if len(t.rest) > 0 {
		n := copy(b, t.rest)
		t.rest = t.rest[n:]
		return n, nil
	}
	t.rest = nil
	return t.Conn.Read(b)
}

// CloseWrite ends the output where the connection can do that by itself.
func (t *Told) CloseWrite() error {
	if half, ok := t.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return net.ErrClosed
}

// Private reports whether what is said on conn crosses no network in clear:
// the peer is on this machine, and where it speaks for a client, that is on
// this machine too or speaks TLS with it.
func Private(conn net.Conn) bool {
	t, ok := conn.(*Told)
	if !ok {
		return nearby(conn.RemoteAddr())
	}
	return Private(t.Conn) && (t.secure || nearby(t.client))
}

func nearby(a net.Addr) bool {
	ip := IP(a)
	return !ip.IsValid() || ip.IsLoopback()
}

// Host returns the client's name as a wrapper told it, or "". It is not
// verified.
func Host(conn net.Conn) string {
	if t, ok := conn.(*Told); ok {
		return t.host
	}
	return ""
}

// MayRelay reports whether the wrapper said that this client may send anywhere
// (RELAYCLIENT).
func MayRelay(conn net.Conn) bool {
	t, ok := conn.(*Told)
	return ok && (t.relay || MayRelay(t.Conn))
}

// IP returns the IP address in a, an IPv4 address in its own form; it is not
// valid where a has none.
func IP(a net.Addr) netip.Addr {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	ip, _ := netip.AddrFromSlice(tcp.IP)
	return ip.Unmap()
}

// ClientName returns the client's IP address, "unix" or "stdin": what events
// call it.
func ClientName(conn net.Conn) string {
	if ip := IP(conn.RemoteAddr()); ip.IsValid() {
		return ip.String()
	}
	if _, ok := conn.RemoteAddr().(*net.UnixAddr); ok {
		return "unix"
	}
	return "stdin"
}
