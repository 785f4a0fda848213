package smtpd

import (
	"bytes"
	"errors"
	"net"
	"time"

	"paperpath/internal/wire"
)

// Sizes, in octets.
const (
	bufSize     = 4 << 10  // input buffer between messages
	dataBufSize = 32 << 10 // and inside one
	flushAt     = 16 << 10 // output goes out at the latest when this much waits
	maxLine     = 2048     // a command with its CRLF
	maxAuthLine = 12288    // AUTH, and the answers of its exchange (RFC 4954 4)
)

// waitMost is how long a reply waits for more to go out with it. Where recipients
// are answered late, the client that has sent hundreds of them at once would hear
// nothing of any for longer than it waits (RFC 5321 4.5.3.2.3: 5 minutes).
const waitMost = time.Second

// Why a read ended without input.
var (
	errIdle  = errors.New("timeout: the client was idle for too long")
	errSlow  = errors.New("timeout: the client was too slow")
	errOld   = errors.New("timeout: the session took too long")
	errDrain = errors.New("the server is shutting down")
)

// stream is the connection to the client, with the limits of a session. A flight of
// pipelined commands is answered by one write (RFC 2920 3.2) unless that takes long.
type stream struct {
	*wire.Conn
	cfg   *Config
	since time.Time // that the oldest reply in Out is there

	// What limit looks at, guarded by Change.
	next     wire.Limit // of a read inside a message, or before the session
	begin    time.Time  // of the wait for a command; zero: next counts
	end      time.Time  // of the session
	busy     bool       // in a transaction, which may end before the session does
	idle     time.Time  // since when there has been no message
	draining time.Time  // when a busy session ends; zero while the server runs
}

func newStream(conn net.Conn, cfg *Config) *stream {
	now := time.Now()
	s := &stream{cfg: cfg, end: now.Add(cfg.SessionLimit), idle: now}
	s.Conn = wire.New(conn, wire.Options{Buffer: bufSize, WriteTimeout: cfg.WriteTimeout, Limit: s.limit})
	return s
}

// limit is when a read ends: the earliest of what is in force. It is called with the
// lock of Change.
func (s *stream) limit() wire.Limit {
	l := s.next
	if !s.begin.IsZero() {
		l = wire.Limit{At: s.patience(), Why: errIdle, Recheck: s.cfg.Haste != nil}
	}
	if s.end.Before(l.At) {
		l.At, l.Why = s.end, errOld
	}
	if s.draining.IsZero() {
		return l
	}
	stop := s.draining
	if !s.busy {
		stop = time.Unix(1, 0)
	}
	if stop.Before(l.At) {
		l.At, l.Why = stop, errDrain
	}
	return l
}

// interrupt is called when the server begins to shut down: what waits for a
// command outside a transaction is woken.
func (s *stream) interrupt() {
	s.Change(func() { s.draining = time.Now().Add(s.cfg.DrainTimeout) })
}

// setBusy says whether a transaction is open.
func (s *stream) setBusy(busy bool) { s.Change(func() { s.busy = busy }) }

// took notes that a message was accepted.
func (s *stream) took() { s.Change(func() { s.idle = time.Now() }) }

// stopping reports whether the session is to end before its next command.
func (s *stream) stopping() (stop bool) {
	s.Change(func() { stop = !s.draining.IsZero() && (!s.busy || time.Now().After(s.draining)) })
	return stop
}

// allow sets the limit for what is read next, and what passing it means.
func (s *stream) allow(limit time.Time, why error) {
	s.Change(func() { s.next, s.begin = wire.Limit{At: limit, Why: why}, time.Time{} })
}

// fill reads more input into the empty buffer, after all output has gone out.
func (s *stream) fill(limit time.Time, why error) error {
	s.allow(limit, why)
	return s.Fill()
}

// reply collects a reply.
func (s *stream) reply(code int, enhanced string, lines ...string) {
	if len(s.Out) >= flushAt {
		// The next read finds the error.
		_ = s.Flush()
	}
	if len(s.Out) == 0 {
		s.since = time.Now()
	}
	s.Out = appendReply(s.Out, code, enhanced, lines...)
	if time.Since(s.since) >= waitMost {
		_ = s.Flush()
	}
}

// Flaws of a command line. The line was read to its end: the session is in
// step.
var (
	errLong  = errors.New("line too long")
	errBytes = errors.New("bare CR, bare LF or NUL in the line")
)

// readLine returns the next line without its CRLF, which alone ends a line
// (RFC 5321 2.3.8). A bare LF is part of the line, so nothing behind it is
// taken for a command. The bytes are good until the next call.
func (s *stream) readLine(limit int) ([]byte, error) {
	s.Change(func() { s.begin = time.Now() })
	line, size, err := s.Line(wire.CRLF, maxAuthLine, 0)
	switch {
	case err != nil:
		return nil, err
	case size > max(limit, lineLimit(line)):
		return nil, errLong
	}
	line = line[:len(line)-2]
	if bytes.IndexByte(line, 0) >= 0 || bytes.IndexByte(line, '\r') >= 0 || bytes.IndexByte(line, '\n') >= 0 {
		return nil, errBytes
	}
	return line, nil
}

// hasteStep is the least that a client has for what is on its way already.
const hasteStep = 2 * time.Second

// patience is when the command must be there. In haste a client has so long
// from its last message to MAIL, and inside a transaction for each command.
func (s *stream) patience() time.Time {
	limit := s.begin.Add(s.cfg.CommandTimeout)
	haste := s.haste()
	if haste <= 0 {
		return limit
	}
	hurried := s.idle.Add(haste)
	if least := s.begin.Add(min(haste, hasteStep)); hurried.Before(least) {
		hurried = least
	}
	if s.busy {
		hurried = s.begin.Add(haste)
	}
	if hurried.Before(limit) {
		return hurried
	}
	return limit
}

func (s *stream) haste() time.Duration {
	if s.cfg.Haste == nil {
		return 0
	}
	return s.cfg.Haste()
}

// lineLimit is what the command at the start of the line allows: AUTH may
// bring a long initial response.
func lineLimit(line []byte) int {
	if len(line) >= 5 && bytes.EqualFold(line[:5], []byte("AUTH ")) {
		return maxAuthLine
	}
	return maxLine
}
