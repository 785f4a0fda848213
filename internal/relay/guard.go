package relay

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// guard is a connection for go-smtp's client, which bounds neither the size of a reply
// nor the time for writing, loses a line that comes in one piece with the beginning of an
// endless one, and says HELO, which is not LMTP, to a host that does not know LHLO.
type guard struct {
	net.Conn
	in    *bufio.Reader
	block time.Duration // for one write

	mu   sync.Mutex
	left int       // octets that the host may still send until the next grant
	end  time.Time // no deadline is later
}

// errNotLMTP says why a session is over before it began: one answer to a text that went
// to many recipients, as SMTP has it, must not pass for the answer to the first.
var errNotLMTP = errors.New("the host does not know LHLO, so it does not speak LMTP")

// newGuard guards c until end. When ctx ends, what is under way has the time grace.
func newGuard(ctx context.Context, c net.Conn, end time.Time, block, grace time.Duration) (g *guard, stop func() bool) {
	g = &guard{Conn: c, in: bufio.NewReader(c), block: block, end: end}
	return g, context.AfterFunc(ctx, func() {
		g.mu.Lock()
		g.end = time.Now().Add(grace)
		g.mu.Unlock()
		_ = g.SetDeadline(time.Time{}) // this fails only on a closed connection
	})
}

// grant allows the host to send n octets.
func (g *guard) grant(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.left = n
}

// Read implements net.Conn. It returns no more than one line.
func (g *guard) Read(p []byte) (int, error) {
	g.mu.Lock()
	left := g.left
	g.mu.Unlock()
	if left <= 0 {
		return 0, errors.New("its reply is too long")
	}
	if _, err := g.in.Peek(1); err != nil {
		return 0, err
	}
	there, _ := g.in.Peek(g.in.Buffered())
	if i := bytes.IndexByte(there, '\n'); i >= 0 {
		there = there[:i+1]
	}
	n, err := g.in.Read(p[:min(len(p), left, len(there))])
	g.mu.Lock()
	g.left -= n
	g.mu.Unlock()
	return n, err
}

// Write implements net.Conn.
func (g *guard) Write(p []byte) (int, error) {
	if bytes.HasPrefix(p, []byte("HELO ")) {
		return 0, errNotLMTP
	}
	if err := g.SetWriteDeadline(g.earlier(time.Now().Add(g.block))); err != nil {
		return 0, fmt.Errorf("set the time to write: %w", err)
	}
	return g.Conn.Write(p)
}

// SetDeadline implements net.Conn; the zero time is the end of the session.
func (g *guard) SetDeadline(t time.Time) error { return g.Conn.SetDeadline(g.earlier(t)) }

func (g *guard) earlier(t time.Time) time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	if t.IsZero() || t.After(g.end) {
		return g.end
	}
	return t
}
