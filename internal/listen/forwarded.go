package listen

import (
	"net"
	"net/netip"
)

// forwarded is a connection for which an intermediary named the client: a wrapper
// in the environment, or a proxy in a PROXY header.
type forwarded struct {
	net.Conn
	client net.Addr
	unread []byte // input that was read along with the header

	host   string // the client's name, "" if not given
	relay  bool   // the client may relay
	secure bool   // the client speaks TLS with the intermediary
}

// RemoteAddr returns the address of the forwarded client.
func (f *forwarded) RemoteAddr() net.Addr { return f.client }

// Read returns first what was read along with the header.
func (f *forwarded) Read(b []byte) (int, error) {
	if len(f.unread) > 0 {
		n := copy(b, f.unread)
		f.unread = f.unread[n:]
		return n, nil
	}
	f.unread = nil
	return f.Conn.Read(b)
}

// CloseWrite ends the output if the connection supports that.
func (f *forwarded) CloseWrite() error {
	if half, ok := f.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return net.ErrClosed
}

// Private reports whether conn crosses no network in clear text: the peer is on
// this machine, and so is the client that it forwards, unless that one speaks TLS
// with the peer.
func Private(conn net.Conn) bool {
	f, ok := conn.(*forwarded)
	if !ok {
		return nearby(conn.RemoteAddr())
	}
	return Private(f.Conn) && (f.secure || nearby(f.client))
}

func nearby(a net.Addr) bool {
	ip := IP(a)
	return !ip.IsValid() || ip.IsLoopback()
}

// Host returns the client's name that a wrapper passed on, or "". It is not
// verified.
func Host(conn net.Conn) string {
	if f, ok := conn.(*forwarded); ok {
		return f.host
	}
	return ""
}

// MayRelay reports whether the wrapper allows this client to relay (RELAYCLIENT).
func MayRelay(conn net.Conn) bool {
	f, ok := conn.(*forwarded)
	return ok && (f.relay || MayRelay(f.Conn))
}

// IP returns the IP address of a, with an IPv4-mapped one as IPv4; it is invalid
// where a has none.
func IP(a net.Addr) netip.Addr {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	ip, _ := netip.AddrFromSlice(tcp.IP)
	return ip.Unmap()
}

// ClientName returns the client's IP address, "unix" or "stdin", as events have it.
func ClientName(conn net.Conn) string {
	if ip := IP(conn.RemoteAddr()); ip.IsValid() {
		return ip.String()
	}
	if _, ok := conn.RemoteAddr().(*net.UnixAddr); ok {
		return "unix"
	}
	return "stdin"
}
