package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"paperpath/internal/control"
	"paperpath/internal/status"
)

// from completes the terms with where the connection comes from, and what it is called:
// by a row of control/source, nil for none.
func (r *Relay) from(t *terms, s *control.Source) (err error) {
	if s != nil {
		t.source, t.helo = s.IP(t.host.addr.Addr()), s.Helo
	}
	if t.helo == "" {
		t.helo, err = r.Control.Hostname()
	}
	return err
}

// dial connects to the host on these terms.
func (r *Relay) dial(ctx context.Context, t terms) (net.Conn, error) {
	if !t.source.IsValid() {
		return r.Dial(ctx, "tcp", t.host.addr.String())
	}
	return r.dialFrom(ctx, t.source, t.host.addr.String())
}

// dialFrom connects from an address of ours.
func dialFrom(ctx context.Context, source netip.Addr, address string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0))}
	return d.DialContext(ctx, "tcp", address)
}

// notOurs returns the failure that an error of dial means if it says that we do not have
// the address to connect from. That says nothing about the host.
func notOurs(t terms, err error) *failure {
	if !t.source.IsValid() || !errors.Is(err, syscall.EADDRNOTAVAIL) {
		return nil
	}
	return &failure{host: t.host, elsewhere: true, settings: true,
		err: status.Ours("4.3.5", t.host.String()+": connect",
			fmt.Sprintf("%s: connect: this machine does not have the address %s of control/source", t.host, t.source), err)}
}
