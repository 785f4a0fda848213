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
	helloBufSize = 512      // input buffer until a transaction begins: of a client that greets, and waits
	bufSize      = 1 << 10  // input buffer outside a message, from then on
	dataBufSize  = 32 << 10 // input buffer inside a message
	flushAt      = 16 << 10 // collected output that is written without waiting for more
	maxLine      = 2048     // a command with its CRLF
	maxAuthLine  = 12288    // AUTH, and the responses of its exchange (RFC 4954 4)
)

// maxDelay is how long a reply may wait for others to be sent with it. A client that
// has pipelined hundreds of slow recipients must hear of the first ones before its own
// timeout (RFC 5321 4.5.3.2.3: 5 minutes).
const maxDelay = time.Second

// Why a read ended without input.
var (
	errIdle  = errors.New("timeout: the client was idle for too long")
	errSlow  = errors.New("timeout: the client was too slow")
	errOld   = errors.New("timeout: the session took too long")
	errDrain = errors.New("the server is shutting down")
)

// stream is the connection to the client, with the time limits of a session. A group
// of pipelined commands is answered by one write (RFC 2920 3.2) unless that takes long.
type stream struct {
	*wire.Conn
	cfg   *Config
	since time.Time // when the oldest reply in Out was added

	// What limit depends on, guarded by Change.
	next     wire.Limit // of reads that are not for a command
	begin    time.Time  // of the wait for a command; zero: next applies
	end      time.Time  // of the session
	busy     bool       // in a transaction, which may be completed during a shutdown
	idle     time.Time  // time of the last message, or of the connection
	draining time.Time  // end of a busy session; zero while the server runs
}

func newStream(conn net.Conn, cfg *Config) *stream {
	now := time.Now()
	s := &stream{cfg: cfg, end: now.Add(cfg.SessionLimit), idle: now}
	s.Conn = wire.New(conn, wire.Options{Buffer: helloBufSize, WriteTimeout: cfg.WriteTimeout, Limit: s.limit})
	return s
}

// limit returns the earliest limit of a read now. It is called under the lock of
// Change.
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

// interrupt is called when the server begins to shut down. It ends the wait for a
// command outside a transaction.
func (s *stream) interrupt() {
	s.Change(func() { s.draining = time.Now().Add(s.cfg.DrainTimeout) })
}

// setBusy says whether a transaction is open.
func (s *stream) setBusy(busy bool) { s.Change(func() { s.busy = busy }) }

// accepted notes that a message was accepted.
func (s *stream) accepted() { s.Change(func() { s.idle = time.Now() }) }

// stopping reports whether the session must end before its next command.
func (s *stream) stopping() (stop bool) {
	s.Change(func() { stop = !s.draining.IsZero() && (!s.busy || time.Now().After(s.draining)) })
	return stop
}

// allow sets the limit of the next reads, and the error once it has passed.
func (s *stream) allow(limit time.Time, why error) {
	s.Change(func() { s.next, s.begin = wire.Limit{At: limit, Why: why}, time.Time{} })
}

// fill flushes the output and reads more input into the empty buffer.
func (s *stream) fill(limit time.Time, why error) error {
	s.allow(limit, why)
	return s.Fill()
}

// reply adds a reply to the output.
func (s *stream) reply(code int, enhanced string, lines ...string) {
	if len(s.Out) >= flushAt {
		// The next read finds the error.
		_ = s.Flush()
	}
	if len(s.Out) == 0 {
		s.since = time.Now()
	}
	s.Out = appendReply(s.Out, code, enhanced, lines...)
	if time.Since(s.since) >= maxDelay {
		_ = s.Flush()
	}
}

// What is wrong with a command line. It has been read to its end, so the session can
// go on.
var (
	errLong  = errors.New("line too long")
	errBytes = errors.New("bare CR, bare LF or NUL in the line")
)

// readLine returns the next line without its CRLF. Nothing else ends a line (RFC 5321
// 2.3.8): a bare LF is part of it, so that what follows is not taken for a command.
// The bytes are valid until the next call.
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

// leastHaste is the least time a client has, for a command already on its way.
const leastHaste = 2 * time.Second

// patience returns when the command must be complete. In haste the time runs from the
// last message until MAIL, and for each command inside a transaction.
func (s *stream) patience() time.Time {
	limit := s.begin.Add(s.cfg.CommandTimeout)
	haste := s.haste()
	if haste <= 0 {
		return limit
	}
	hurried := s.idle.Add(haste)
	if least := s.begin.Add(min(haste, leastHaste)); hurried.Before(least) {
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

// lineLimit returns the maximum length of a line: AUTH may have a long initial
// response.
func lineLimit(line []byte) int {
	if len(line) >= 5 && bytes.EqualFold(line[:5], []byte("AUTH ")) {
		return maxAuthLine
	}
	return maxLine
}
