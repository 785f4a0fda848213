// Package listen brings connections to a protocol: listeners with limits, sockets of
// systemd, the PROXY protocol, and standard input as a connection.
package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"paperpath/internal/maillog"
	"paperpath/internal/status"
)

// defaultDrain is how long sessions may go on when the server shuts down.
const defaultDrain = 15 * time.Second

// Server accepts connections and gives each to Handle.
type Server struct {
	Addrs    []string // "host:port", "unix:path" or StdinAddr
	TLSAddrs []string // the same; TLS begins with the first octet (RFC 8314)

	Ports Ports // of addresses that are open already

	UnixMode os.FileMode // of Unix sockets; 0 leaves it to the umask

	// TLS is required if a socket speaks TLS from the first octet. Handle does the
	// handshake, within its own deadlines.
	TLS *tls.Config

	// Limits returns the limits in force now. It is called for each connection; nil:
	// no limits.
	Limits func() (Limits, error)

	Idle  time.Duration // time without a client after which Run ends; only for StdinAddr. 0: a minute
	Drain time.Duration // how long sessions may go on when ctx is done; 0: defaultDrain
	Log   *maillog.Log  // may be nil

	// Handle serves one client until the connection or ctx ends. It runs in its own
	// goroutine; the connection is closed after it.
	Handle func(ctx context.Context, conn net.Conn, implicit bool)

	// Refuse tells a client that the limits do not admit it, or with an error that they
	// cannot be read; nil: only close. It is not called if the client expects TLS.
	Refuse func(conn net.Conn, err error)

	// Opened is called once every socket is open and before one accepts; may be nil. An error
	// ends the server.
	Opened func() error
	// Ready is called once every socket accepts connections; may be nil.
	Ready func()

	mu    sync.Mutex
	conns map[net.Conn]Origin // each as accepted, with its Origin
	of    map[Origin]int      // how many
	most  int                 // connections at a time, as of the last one
	wg    sync.WaitGroup

	memory returns
}

// Run listens on every address, or without addresses on the sockets of systemd, until
// ctx is done. Then it stops accepting, lets sessions go on for Drain, closes the
// others and returns nil.
func (s *Server) Run(ctx context.Context) error {
	list, err := s.open()
	if err != nil {
		return err
	}
	if s.Opened != nil {
		if err := s.Opened(); err != nil {
			closeAll(list)
			return err
		}
	}
	s.conns, s.of = make(map[net.Conn]Origin), make(map[Origin]int)
	ctx, cancel := s.untilIdle(ctx)
	defer cancel()
	for _, l := range list {
		s.Log.Listening(l.Addr().String())
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

// drain waits for the sessions and closes those that take too long.
func (s *Server) drain() {
	done := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(done)
	}()
	limit := s.Drain
	if limit == 0 {
		limit = defaultDrain
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

// acceptAll accepts connections until the listener is closed. No other error ends it:
// a shortage of descriptors passes.
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

// take starts a session or refuses it, in a goroutine: reading the settings may take
// time.
func (s *Server) take(ctx context.Context, conn net.Conn, implicit bool) {
	s.wg.Go(func() {
		defer s.leave(conn)
		if err := status.Guard(func() error { return s.serve(ctx, conn, implicit) }); err != nil {
			s.trouble("session", err)
		}
	})
}

// serve holds a session, or refuses it.
func (s *Server) serve(ctx context.Context, conn net.Conn, implicit bool) error {
	limits, err := s.limits()
	switch {
	case err != nil:
		s.trouble("limits", err)
		s.refuse(conn, implicit, err)
	case !s.enter(conn, limits.Max):
		s.limited("connections", conn)
		s.refuse(conn, implicit, nil)
	default:
		s.session(ctx, conn, implicit, limits)
	}
	return nil
}

func (s *Server) limits() (Limits, error) {
	if s.Limits == nil {
		return Limits{}, nil
	}
	return s.Limits()
}

// session serves a client unless a limit of its own forbids it.
func (s *Server) session(ctx context.Context, conn net.Conn, implicit bool, limits Limits) {
	client, err := limits.Client(conn)
	if err != nil {
		s.unproxied(conn, implicit, err)
		return
	}
	limit := limits.Refusal(client)
	if limit == "" {
		limit = s.admit(conn, limits.claim(client))
	}
	if limit != "" {
		s.limited(limit, client)
		s.refuse(client, implicit, nil)
		return
	}
	s.memory.session()
	s.Handle(ctx, client, implicit)
}

// enter counts a connection if there is room for it.
func (s *Server) enter(conn net.Conn, most int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.most = most
	if most > 0 && len(s.conns) >= most {
		return false
	}
	s.conns[conn] = ""
	return true
}

// admit counts a connection for its client, or returns the name of the limit that it
// exceeds.
func (s *Server) admit(conn net.Conn, c claim) (limit string) {
	if c.from == "" {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	has := s.of[c.from]
	room := c.room
	if has > 0 {
		room = c.more
	}
	switch {
	case c.most > 0 && has >= c.most:
		return "client"
	case room > 0 && len(s.conns) > room:
		return "connections"
	}
	s.of[c.from]++
	s.conns[conn] = c.from
	return ""
}

// Haste returns how long a client may take to its first command now: a short time while
// nearly all connections are in use, otherwise 0, no limit.
func (s *Server) Haste() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return haste(len(s.conns), s.most)
}

// leave frees the place of a connection and closes it: whoever sees it closed finds the place
// free.
func (s *Server) leave(conn net.Conn) {
	defer conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	from := s.conns[conn]
	delete(s.conns, conn)
	if from == "" {
		return
	}
	if s.of[from]--; s.of[from] <= 0 {
		delete(s.of, from)
	}
}

// refuse tells a client that it is not served, for err or for a limit, and hangs up.
func (s *Server) refuse(conn net.Conn, implicit bool, err error) {
	if s.Refuse != nil && !implicit {
		s.Refuse(conn, err)
	}
	conn.Close()
}

// limited writes the event.
func (s *Server) limited(limit string, client net.Conn) {
	s.Log.Limited(limit, maillog.Client{Addr: ClientName(client)})
}

// unproxied refuses a peer if it is not known whether that is a proxy, and writes the
// event for a peer that has to send a PROXY header and did not.
func (s *Server) unproxied(conn net.Conn, implicit bool, err error) {
	var settings *status.Error
	if errors.As(err, &settings) {
		s.refuse(conn, implicit, err)
		return
	}
	s.Log.Disconnected(err.Error(), 0, maillog.Client{Addr: ClientName(conn)})
}

func (s *Server) trouble(op string, err error) {
	s.Log.Trouble("", op, err)
}
