package home

import (
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"os"
	"sync/atomic"
	"time"

	"paperpath/internal/status"
)

// Service is a protocol that a program serves, on sockets or on standard input.
type Service struct {
	Home *Home

	// Open reads what the sessions share, and returns the handler that serves them.
	// It is called at the start, and again at each SIGHUP for the sessions that begin
	// after it.
	Open func() (Handler, error)

	// Unavailable tells a client, in place of the greeting, that it is not served. It
	// is not called if the client waits for TLS.
	Unavailable func(conn net.Conn, err error)

	NoTLS    bool        // the protocol never leaves the machine
	UnixMode os.FileMode // of Unix sockets; 0 leaves it to the umask
}

// Handler serves a client until the session or ctx ends. An error means that
// there was no session: Unavailable tells the client.
type Handler func(ctx context.Context, c *Client) error

// Client is a client to serve.
type Client struct {
	Conn     net.Conn
	Implicit bool        // TLS begins with the first octet (RFC 8314)
	TLS      *tls.Config // nil: there is no certificate

	Listening bool                 // the client connected to a socket of ours
	Haste     func() time.Duration // listen.Server.Haste; nil on standard input
	Drain     time.Duration        // for a session when ctx ends; 0: the protocol's default
}

// stdinDrain is how long a session on standard input continues after a signal:
// whoever is at the other end also sent the signal.
const stdinDrain = time.Millisecond

// ErrInterrupted ends a session on standard input that a signal interrupted. It has
// no text: under inetd nobody reads it, and the client was told in the protocol.
var ErrInterrupted = &status.Error{Exit: status.TempFail}

// serving is what is in force from one SIGHUP to the next.
type serving struct {
	handle Handler
	tls    *tls.Config
}

// open reads what sessions need that begin from now on. If no certificate can be used
// any more, the previous one stays: a half-written pair does not end TLS.
func (s *Service) open(before *serving) (*serving, error) {
	handle, err := s.Open()
	if err != nil {
		return nil, err
	}
	now := &serving{handle: handle, tls: before.tls}
	if s.NoTLS {
		return now, nil
	}
	host, err := s.Home.Control.Hostname()
	if err != nil {
		return nil, err
	}
	conf, err := s.Home.certificates(host)
	if err != nil {
		return nil, status.Temp("4.3.5", "cannot read the certificates", err)
	}
	now.tls = cmp.Or(conf, before.tls)
	return now, nil
}

// serve serves a client with what is in force now.
func (s *Service) serve(ctx context.Context, now *serving, c *Client) error {
	c.TLS = now.tls
	err := now.handle(ctx, c)
	if err != nil && !c.Implicit {
		s.Unavailable(c.Conn, err)
	}
	return err
}

// Stdin serves the client on standard input and output, which may be a socket from
// inetd or a pair of pipes. If implicit is set, it begins with TLS. wrapper is the
// program whose environment names the client, "" for none.
func (s *Service) Stdin(ctx context.Context, implicit bool, wrapper string) error {
	conn, err := s.Home.session(wrapper)
	if conn == nil {
		return err
	}
	defer conn.Close()
	if err != nil {
		if !implicit {
			s.Unavailable(conn, err)
		}
		return err
	}
	if err := s.Home.Confine(false); err != nil {
		if !implicit {
			s.Unavailable(conn, err)
		}
		return err
	}
	return s.One(ctx, conn, implicit)
}

// One serves the single client on conn.
func (s *Service) One(ctx context.Context, conn net.Conn, implicit bool) error {
	now, err := s.open(&serving{})
	if err == nil && implicit && now.tls == nil {
		err = status.Temp("4.3.5", "--tls needs a certificate in control/tls", nil)
	}
	if err != nil {
		if !implicit {
			s.Unavailable(conn, err)
		}
		return err
	}
	err = s.serve(ctx, now, &Client{Conn: conn, Implicit: implicit, Drain: stdinDrain})
	if err == nil && ctx.Err() != nil {
		return ErrInterrupted
	}
	return err
}

// Listen serves clients on the addresses, or on the sockets from systemd, until ctx
// ends. If a client is not served, the log has the reason.
func (s *Service) Listen(ctx context.Context, addrs, tlsAddrs []string) error {
	h := s.Home
	ports, err := h.bindPorts(addrs, tlsAddrs)
	if err != nil {
		return err
	}
	first, err := s.open(&serving{})
	if err != nil {
		return err
	}
	l, err := h.server(addrs, tlsAddrs, first.tls)
	if err != nil {
		return err
	}
	l.Ports, l.UnixMode = ports, s.UnixMode
	var current atomic.Pointer[serving]
	current.Store(first)
	defer h.OnHangup(ctx, func() error {
		next, err := s.open(current.Load())
		if err == nil {
			current.Store(next)
		}
		return err
	})()
	l.Handle = func(ctx context.Context, conn net.Conn, implicit bool) {
		c := &Client{Conn: conn, Implicit: implicit, Listening: true, Haste: l.Haste}
		if err := s.serve(ctx, current.Load(), c); err != nil {
			h.Log.Trouble("", "session", err)
		}
	}
	l.Refuse = func(conn net.Conn, err error) {
		if err == nil { // a limit, which passes
			err = errRefused
		}
		s.Unavailable(conn, err)
	}
	return l.Run(ctx)
}
