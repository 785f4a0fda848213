package listen

import (
	"net"
	"testing"
)

type addressed struct {
	net.Conn
	addr net.Addr
}

func (a addressed) RemoteAddr() net.Addr { return a.addr }

func TestClient(t *testing.T) {
	for _, row := range []struct {
		addr    net.Addr
		name    string
		private bool
	}{
		{&net.TCPAddr{IP: net.ParseIP("192.0.2.7"), Port: 5}, "192.0.2.7", false},
		{&net.TCPAddr{IP: net.ParseIP("::ffff:192.0.2.7")}, "192.0.2.7", false},
		{&net.TCPAddr{IP: net.ParseIP("2001:db8::7"), Zone: "eth0"}, "2001:db8::7", false},
		{&net.TCPAddr{IP: net.ParseIP("127.0.0.2")}, "127.0.0.2", true},
		{&net.TCPAddr{IP: net.ParseIP("::1")}, "::1", true},
		{&net.UnixAddr{Name: "@", Net: "unix"}, "unix", true},
		{stdinAddr{}, "stdin", true},
	} {
		conn := addressed{addr: row.addr}
		if ClientName(conn) != row.name || Private(conn) != row.private {
			t.Errorf("%v: %s, private %v", row.addr, ClientName(conn), Private(conn))
		}
		// The proxy is not the client that it names.
		fwd := &forwarded{Conn: addressed{addr: &net.TCPAddr{IP: net.ParseIP("192.0.2.1")}}, client: row.addr, secure: true}
		if ClientName(fwd) != row.name || Private(fwd) {
			t.Errorf("forwarded %v from afar: %s, private %v", row.addr, ClientName(fwd), Private(fwd))
		}
	}
}
