// Package wire is a server's connection to one client, for line protocols: replies are
// collected and written before a read waits, every read has a time limit that may
// change meanwhile, and STARTTLS discards input that came in clear text.
package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Limit is the end of a wait for input.
type Limit struct {
	At  time.Time
	Why error // what the read returns when At has passed

	// Recheck calls Options.Limit again every recheckEvery, for a limit that may
	// come nearer without a call of Change.
	Recheck bool
}

// recheckEvery is how often a waiting read asks for its limit again.
const recheckEvery = 2 * time.Second

// Options are the settings of a Conn.
type Options struct {
	Buffer       int           // size of the input buffer, in octets
	WriteTimeout time.Duration // for each write
	Limit        func() Limit  // of a read that begins or waits; called under the lock of Change
	Waits        func()        // called before each wait for input, when all output is written; may be nil
}

// Conn is the connection with an input buffer and collected output. One goroutine
// uses it; Change may be called from others, and while no output is collected Send
// and Close too.
type Conn struct {
	Out []byte // collected output: append to it

	opt    Options
	client net.Conn // for deadlines
	rw     net.Conn // client, or TLS over it
	buf    []byte
	r, w   int // buf[r:w] is unread input
	line   []byte
	broken error // the first write error, after which nothing is written

	mu      sync.Mutex // guards the fields below, and what Options.Limit depends on
	waiting wait
	limit   Limit // of the read that waits
}

// wait is what a Conn waits for.
type wait int

const (
	nothing wait = iota
	input
	handshake // unlike a read it cannot go on after a timeout
)

// ErrStalled means that the client did not read what was written in time.
var ErrStalled = errors.New("timeout: the client reads nothing")

// New returns the connection of a client.
func New(client net.Conn, opt Options) *Conn { return &Conn{opt: opt, client: client, rw: client} }

// Change calls f, which changes or reads what Options.Limit depends on. The new limit
// applies to a read that is waiting too.
func (c *Conn) Change(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
	if c.waiting != nothing {
		// The waiting read gets the error too.
		_ = c.setDeadline()
	}
}

// setDeadline puts the limit in force. The caller holds mu.
func (c *Conn) setDeadline() error {
	c.limit = c.opt.Limit()
	c.limit.Recheck = c.limit.Recheck && c.waiting != handshake
	at := c.limit.At
	if soon := time.Now().Add(recheckEvery); c.limit.Recheck && soon.Before(at) {
		at = soon
	}
	return c.client.SetReadDeadline(at)
}

// begin begins a wait and returns its limit.
func (c *Conn) begin(what wait) (time.Time, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = what
	err := c.setDeadline()
	return c.limit.At, err
}

func (c *Conn) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = nothing
}

// reason replaces a timeout by its reason, or by nil if it was only time to ask for the
// limit again.
func (c *Conn) reason(err error) error {
	if !isTimeout(err) {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.limit.Recheck && time.Now().Before(c.limit.At) {
		return nil
	}
	return c.limit.Why
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

// maxEmptyReads is how many reads in a row may return no data.
const maxEmptyReads = 100

// fill writes all output and reads into p.
func (c *Conn) fill(p []byte) (int, error) {
	if err := c.Flush(); err != nil {
		return 0, err
	}
	if c.opt.Waits != nil {
		c.opt.Waits()
	}
	defer c.end()
	for empty := 0; empty < maxEmptyReads; {
		if _, err := c.begin(input); err != nil {
			return 0, err
		}
		n, err := c.rw.Read(p)
		switch {
		case n > 0:
			return n, nil // the next read returns the error again
		case err == nil:
			empty++
		default:
			if err = c.reason(err); err != nil {
				return 0, err
			}
		}
	}
	return 0, io.ErrNoProgress
}

// Fill reads more input into the empty buffer.
func (c *Conn) Fill() (err error) {
	if len(c.buf) != c.opt.Buffer {
		c.buf = make([]byte, c.opt.Buffer)
	}
	c.r = 0
	c.w, err = c.fill(c.buf)
	return err
}

// Resize changes the size of the buffer from the next Fill on.
func (c *Conn) Resize(octets int) { c.opt.Buffer = octets }

// Buffered returns the unread input in the buffer.
func (c *Conn) Buffered() []byte { return c.buf[c.r:c.w] }

// Skip consumes n octets of it.
func (c *Conn) Skip(n int) { c.r += n }

// Empty reports whether there is none.
func (c *Conn) Empty() bool { return c.r == c.w }

// Read implements io.Reader. It returns buffered input before it waits for more.
func (c *Conn) Read(p []byte) (int, error) {
	if c.Empty() {
		if err := c.Fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.Buffered())
	c.Skip(n)
	return n, nil
}

// Flush writes the collected output.
func (c *Conn) Flush() error {
	if len(c.Out) > 0 {
		c.broken = c.Send(c.Out)
		c.Out = c.Out[:0]
	}
	return c.broken
}

// Send writes b at once, before the collected output.
func (c *Conn) Send(b []byte) error {
	if c.broken != nil {
		return c.broken
	}
	if err := c.client.SetWriteDeadline(time.Now().Add(c.opt.WriteTimeout)); err != nil {
		return err
	}
	_, err := c.rw.Write(b)
	if isTimeout(err) {
		return ErrStalled
	}
	return err
}

// StartTLS makes the connection a TLS one, within the limit in force. It discards unread
// input, which came in clear text and may have been injected (RFC 3207 4.2, RFC 2595 4,
// CVE-2011-0411). After an error the connection is of no more use.
func (c *Conn) StartTLS(ctx context.Context, cfg *tls.Config) (*tls.ConnectionState, error) {
	if err := c.Flush(); err != nil {
		return nil, err
	}
	c.r, c.w = 0, 0
	defer c.end()
	limit, err := c.begin(handshake)
	if err == nil {
		err = c.client.SetWriteDeadline(limit)
	}
	if err != nil {
		return nil, err
	}
	secure := tls.Server(c.client, cfg)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("TLS handshake: %w", c.reason(err))
	}
	c.rw = secure
	state := secure.ConnectionState()
	return &state, nil
}

// lingerTime and maxLinger bound what Linger waits for.
const (
	lingerTime = time.Second
	maxLinger  = 256 << 10 // octets
)

// Linger lets the client read the last reply before Close: closing a socket with unread
// input would reset the connection, and the reply might be lost.
func (c *Conn) Linger() {
	half, ok := c.rw.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil || c.client.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	// Whatever the error, the connection is closed next.
	_, _ = io.CopyN(io.Discard, c.rw, maxLinger)
}

// Close closes the connection. In TLS it notifies the client first, so that the end is
// not taken for a truncation.
func (c *Conn) Close() error { return c.rw.Close() }
