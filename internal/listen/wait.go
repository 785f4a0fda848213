package listen

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"time"
)

// StdinAddr is the address of the listening socket on standard input.
const StdinAddr = "stdin"

// idleTime is how long a server on another program's socket runs without a client; that
// program starts it again for the next one.
const idleTime = time.Minute

// Waiting reports whether f, standard input, is a listening socket, as inetd passes it
// to a service with "wait".
func Waiting(f *os.File) bool {
	raw, err := f.SyscallConn()
	if err != nil {
		return false
	}
	waiting := false
	return raw.Control(func(fd uintptr) { waiting = accepting(int(fd)) }) == nil && waiting
}

// listenStdin returns the socket on standard input. Other processes share it: it is
// never shut down.
func listenStdin() (net.Listener, error) {
	if !Waiting(os.Stdin) {
		return nil, fmt.Errorf("standard input is not a listening socket")
	}
	return net.FileListener(os.Stdin)
}

// untilIdle returns a context that ends with ctx and, for a server on the socket of
// standard input, when it has had no connection for a while.
func (s *Server) untilIdle(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if !slices.Contains(s.Addrs, StdinAddr) && !slices.Contains(s.TLSAddrs, StdinAddr) {
		return ctx, cancel
	}
	idle := s.Idle
	if idle == 0 {
		idle = idleTime
	}
	go func() {
		defer cancel()
		for last := time.Now(); time.Since(last) < idle; {
			if waited(ctx.Done(), idle/20) {
				return
			}
			if s.used() > 0 {
				last = time.Now()
			}
		}
	}()
	return ctx, cancel
}

// used returns the number of connections.
func (s *Server) used() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}
