package pop3

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"paperpath/internal/wire"
)

// Limits of the connection, in octets, of lines without their end.
const (
	maxLine     = 512      // a command; RFC 2449 4 asks for 255
	maxAuthLine = 12288    // AUTH and the answers of a SASL exchange (RFC 5034 4)
	maxOverlong = 64 << 10 // a line longer than this ends the session
	inSize      = 1024     // input buffer
	flushAt     = 32 << 10 // output is sent at the latest when this much waits
)

// Why a read ended without a line.
var (
	errLongLine = errors.New("line too long") // it was read to its end: the session is in step
	errIdle     = errors.New("timeout: the client was idle for too long")
	errDrain    = errors.New("the server shuts down")
)

// stream is the connection to the client, with the limits of a session. Output is
// collected and sent in one write when the session waits for the next command, so a
// flight of pipelined commands costs one write (RFC 2449 6.6).
type stream struct {
	*wire.Conn
	cfg *Config

	// What limit looks at, guarded by Change.
	next     time.Time // by which the next line must be complete
	begin    time.Time // of what Haste limits; zero: nothing
	draining bool
}

func newStream(conn net.Conn, cfg *Config) *stream {
	s := &stream{cfg: cfg}
	s.Conn = wire.New(conn, wire.Options{Buffer: inSize, WriteTimeout: cfg.WriteTimeout, Limit: s.limit,
		Waits: s.releaseOut})
	return s
}

// limit is when a read ends. It is called with the lock of Change.
func (s *stream) limit() wire.Limit {
	hurries := s.cfg.Haste != nil && !s.begin.IsZero()
	l := wire.Limit{At: s.next, Why: errIdle, Recheck: hurries && !s.draining}
	if hurries {
		if haste := s.cfg.Haste(); haste > 0 && s.begin.Add(haste).Before(l.At) {
			l.At = s.begin.Add(haste)
		}
	}
	if soon := time.Now().Add(s.cfg.DrainTimeout); s.draining && soon.Before(l.At) {
		l.At, l.Why = soon, errDrain
	}
	return l
}

// interrupt is called when the server begins to shut down: from now on an idle
// client is soon disconnected, while a busy one may finish.
func (s *stream) interrupt() { s.Change(func() { s.draining = true }) }

// allow sets the time by which the next line must be complete.
func (s *stream) allow(limit time.Time) { s.Change(func() { s.next = limit }) }

// hurry applies Haste to the time since begin; the zero time ends that.
func (s *stream) hurry(begin time.Time) { s.Change(func() { s.begin = begin }) }

// readLine returns the next line without its CRLF. A bare LF, as a person at nc(1)
// sends it, ends a line too; the end of input does not. The bytes are good until the
// next call.
func (s *stream) readLine() ([]byte, error) {
	line, size, err := s.Line(wire.LF, maxAuthLine+len(crlf), maxOverlong)
	switch {
	case err != nil:
		return nil, err
	case size > maxAuthLine+len(crlf):
		return nil, errLongLine
	}
	return trimEnd(line), nil
}

func trimEnd(line []byte) []byte {
	line = line[:len(line)-1]
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line
}

// print adds to the output.
func (s *stream) print(format string, args ...any) {
	s.Out = fmt.Appendf(s.Out, format, args...)
}

// spill sends what waits once there is enough of it.
func (s *stream) spill() error {
	if len(s.Out) < flushAt {
		return nil
	}
	return s.Flush()
}

// hasteStep is the least time for a TLS handshake.
const hasteStep = 2 * time.Second

// startTLS makes the connection a TLS one. The handshake has the time of a write, and
// in haste what is left of the time to log in.
func (s *stream) startTLS(ctx context.Context, config *tls.Config) (*tls.ConnectionState, error) {
	var begin time.Time
	s.Change(func() {
		most := s.cfg.WriteTimeout
		if !s.begin.IsZero() {
			most = min(most, max(time.Until(s.limit().At), hasteStep))
		}
		begin, s.begin = s.begin, time.Time{}
		s.next = time.Now().Add(most)
	})
	state, err := s.StartTLS(ctx, config)
	s.hurry(begin)
	return state, err
}

// copyOut copies r to the client, beside the reads of another goroutine.
func (s *stream) copyOut(r io.Reader) {
	buf := make([]byte, 2*chunkSize)
	for {
		n, err := r.Read(buf)
		if n > 0 && s.Send(buf[:n]) != nil || err != nil {
			return
		}
	}
}
