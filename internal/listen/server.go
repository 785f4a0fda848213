// Package listen brings connections to a protocol: listeners with limits,
// sockets from systemd, and standard input as a connection.
package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"

	"paperpath/internal/maillog"
)

// DefaultDrain is how long sessions may go on when the server ends.
const DefaultDrain = 15 * time.Second

// PerAddr is how many connections one address may have at a time where
// control/concurrency does not say.
const PerAddr = 50

// Server accepts connections and gives each to Handle.
type Server struct {
	Addrs    []string // "host:port", or "unix:path"
	TLSAddrs []string // the same; TLS begins with the first octet (RFC 8314)

	// TLS must be there where a socket speaks TLS from the first octet. The
	// handshake is Handle's, within its own deadlines.
	TLS *tls.Config

	Max        int                   // connections at a time; 0: no limit
	MaxPerAddr int                   // from one IPv4 address or IPv6 /64; 0: no limit
	Exempt     func(netip.Addr) bool // from MaxPerAddr; nil: nobody is

	Drain time.Duration // for sessions when ctx is done; 0: DefaultDrain
	Log   *maillog.Log  // may be nil

	// Handle speaks with one client until the connection or ctx ends. It runs
	// in its own goroutine; the connection is closed behind it.
	Handle func(ctx context.Context, conn net.Conn, implicit bool)

	// Refuse tells a client beyond the limits so, briefly; nil: only close.
	// It is not called where the client waits for TLS.
	Refuse func(net.Conn)

	// Ready is called once, when every socket accepts; may be nil.
	Ready func()

	mu    sync.Mutex
	conns map[net.Conn]netip.Prefix
	wg    sync.WaitGroup
}

// Run listens on every address, or where there is none on the sockets of
// systemd, until ctx is done. Then it accepts no more, lets sessions go on for
// Drain, closes what is left and returns nil.
func (s *Server) Run(ctx context.Context) error {
	list, err := s.open()
	if err != nil {
		return err
	}
	s.conns = make(map[net.Conn]netip.Prefix)
	for _, l := range list {
		if s.Log != nil {
			s.Log.Listening(l.Addr().String())
		}
		s.wg.Go(func() { s.acceptAll(ctx, l) })
	}
	if s.Ready != nil {
		s.Ready()
	}
	<-ctx.Done()
	closeAll(list)
	s.drain()
	return nil
}

// drain waits for the sessions, and closes those that take too long.
func (s *Server) drain() {
	done := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(done)
	}()
	limit := s.Drain
	if limit == 0 {
		limit = DefaultDrain
	}
	if waited(done, limit) {
		return
	}
	s.mu.Lock()
	for conn := range s.conns {
		conn.Close()
	}
	s.mu.Unlock()
	waited(done, time.Second)
}

func waited(done <-chan struct{}, limit time.Duration) bool {
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-done:
		return true
	case <-t.C:
		return false
	}
}

// acceptAll accepts until the listener is closed. No other error ends it: a
// full table of descriptors empties again.
func (s *Server) acceptAll(ctx context.Context, l listener) {
	var pause time.Duration
	for {
		conn, err := l.Accept()
		if err == nil {
			pause = 0
			s.take(ctx, conn, l.implicit)
			continue
		}
		if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			return
		}
		if pause = min(max(2*pause, 5*time.Millisecond), time.Second); pause == time.Second {
			s.trouble("accept", err)
		}
		waited(ctx.Done(), pause)
	}
}

// take starts a session, or refuses it.
func (s *Server) take(ctx context.Context, conn net.Conn, implicit bool) {
	if !s.admit(conn) {
		if s.Refuse != nil && !implicit {
			s.Refuse(conn)
		}
		conn.Close()
		return
	}
	s.wg.Go(func() {
		defer s.leave(conn)
		defer func() {
			if v := recover(); v != nil {
				s.trouble("session", fmt.Errorf("panic: %v\n%s", v, debug.Stack()))
			}
		}()
		s.Handle(ctx, conn, implicit)
	})
}

func (s *Server) admit(conn net.Conn) bool {
	from := origin(conn.RemoteAddr())
	if s.Exempt != nil && from.IsValid() && s.Exempt(from.Addr()) {
		from = netip.Prefix{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Max > 0 && len(s.conns) >= s.Max {
		return false
	}
	if s.MaxPerAddr > 0 && from.IsValid() {
		n := 0
		for _, other := range s.conns {
			if other == from {
				n++
			}
		}
		if n >= s.MaxPerAddr {
			return false
		}
	}
	s.conns[conn] = from
	return true
}

func (s *Server) leave(conn net.Conn) {
	conn.Close()
	s.mu.Lock()
	delete(s.conns, conn)
	s.mu.Unlock()
}

// origin is what counts as one client: an IPv4 address, or the /64 that an
// IPv6 host has to itself. It is not valid for a Unix socket.
func origin(a net.Addr) netip.Prefix {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip, ok := netip.AddrFromSlice(tcp.IP)
	if !ok {
		return netip.Prefix{}
	}
	ip = ip.Unmap()
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	p, _ := ip.Prefix(bits)
	return p
}

func (s *Server) trouble(op string, err error) {
	if s.Log != nil {
		s.Log.Trouble("", op, err)
	}
}
