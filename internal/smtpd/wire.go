package smtpd

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"time"
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
	errDrain = errors.New("the server shuts down")
)

// wire is the connection with an input buffer, collected output and deadlines.
// Output leaves when there is no input to go on with, so a flight of pipelined
// commands is answered by one write (RFC 2920 3.2) unless that takes long.
type wire struct {
	conn net.Conn // the client, for deadlines
	rw   net.Conn // conn, or TLS over it
	cfg  *Config

	buf   []byte
	r, w  int // buf[r:w] is to be read
	size  int // of buf from the next fill on
	out   []byte
	since time.Time // that the oldest reply in out is there
	line  []byte
	wrErr error // the first error of writing; no more is written

	mu       sync.Mutex // guards what is below against interrupt
	end      time.Time  // of the session
	limit    time.Time  // for the read under way
	why      error      // what passing the limit means
	busy     bool       // in a transaction, which may end before the session does
	idle     time.Time  // since when there has been no message
	draining time.Time  // when a busy session ends; zero while the server runs
}

func newWire(conn net.Conn, cfg *Config) *wire {
	now := time.Now()
	return &wire{conn: conn, rw: conn, cfg: cfg, size: bufSize, end: now.Add(cfg.SessionLimit), idle: now}
}

// interrupt is called when the server begins to shut down: what waits for a
// command outside a transaction is woken.
func (w *wire) interrupt() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.draining = time.Now().Add(w.cfg.DrainTimeout)
	// An error here is one that the reader gets too.
	_ = w.setDeadline()
}

// setBusy says whether a transaction is open.
func (w *wire) setBusy(busy bool) {
	w.mu.Lock()
	w.busy = busy
	w.mu.Unlock()
}

// took notes that a message was accepted.
func (w *wire) took() {
	w.mu.Lock()
	w.idle = time.Now()
	w.mu.Unlock()
}

// stopping reports whether the session is to end before its next command.
func (w *wire) stopping() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.draining.IsZero() && (!w.busy || time.Now().After(w.draining))
}

// setDeadline puts the earliest limit in force on the connection. The caller
// holds mu.
func (w *wire) setDeadline() error {
	if w.limit.IsZero() {
		return nil // nothing is being read
	}
	if w.end.Before(w.limit) {
		w.limit, w.why = w.end, errOld
	}
	if !w.draining.IsZero() {
		stop := w.draining
		if !w.busy {
			stop = time.Unix(1, 0)
		}
		if stop.Before(w.limit) {
			w.limit, w.why = stop, errDrain
		}
	}
	return w.conn.SetReadDeadline(w.limit)
}

// allow sets the limit for the next read, and what passing it means.
func (w *wire) allow(limit time.Time, why error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.limit, w.why = limit, why
	return w.setDeadline()
}

// fill reads more input into the empty buffer, after all output has gone out.
func (w *wire) fill(limit time.Time, why error) error {
	if err := w.flush(); err != nil {
		return err
	}
	if len(w.buf) != w.size {
		w.buf = make([]byte, w.size)
	}
	w.r, w.w = 0, 0
	if err := w.allow(limit, why); err != nil {
		return err
	}
	for range 100 {
		n, err := w.rw.Read(w.buf)
		if n > 0 {
			w.w = n
			return nil
		}
		if err != nil {
			return w.named(err)
		}
	}
	return io.ErrNoProgress
}

// named replaces a timeout by what it means.
func (w *wire) named(err error) error {
	var t net.Error
	if !errors.As(err, &t) || !t.Timeout() {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.why
}

// buffered is the input that is there.
func (w *wire) buffered() []byte { return w.buf[w.r:w.w] }

// discard forgets the input that is there.
func (w *wire) discard() { w.r, w.w = 0, 0 }

// flush writes the collected output.
func (w *wire) flush() error {
	if w.wrErr != nil || len(w.out) == 0 {
		return w.wrErr
	}
	w.wrErr = w.conn.SetWriteDeadline(time.Now().Add(w.cfg.WriteTimeout))
	if w.wrErr == nil {
		_, w.wrErr = w.rw.Write(w.out)
	}
	w.out = w.out[:0]
	return w.wrErr
}

// reply collects a reply.
func (w *wire) reply(code int, enhanced string, lines ...string) {
	if len(w.out) >= flushAt {
		// The next read finds the error.
		_ = w.flush()
	}
	if len(w.out) == 0 {
		w.since = time.Now()
	}
	w.out = appendReply(w.out, code, enhanced, lines...)
	if time.Since(w.since) >= waitMost {
		_ = w.flush()
	}
}

// Flaws of a command line. The line was read to its end: the session is in
// step.
var (
	errLong  = errors.New("line too long")
	errBytes = errors.New("bare CR, bare LF or NUL in the line")
)

var crlf = []byte("\r\n")

// readLine returns the next line without its CRLF, which alone ends a line
// (RFC 5321 2.3.8). A bare LF is part of the line, so nothing behind it is
// taken for a command. The bytes are good until the next call.
func (w *wire) readLine(limit int) ([]byte, error) {
	begin := time.Now()
	w.line = w.line[:0]
	for seen, cr, ended := 0, false, false; !ended; {
		if w.r == w.w {
			if err := w.await(begin); err != nil {
				return nil, err
			}
		}
		var part []byte
		part, ended = upToCRLF(w.buffered(), cr)
		w.r += len(part)
		cr = part[len(part)-1] == '\r'
		if seen += len(part); seen <= maxAuthLine {
			w.line = append(w.line, part...)
		}
		if ended && seen > max(limit, w.lineLimit()) {
			return nil, errLong
		}
	}
	line := w.line[:len(w.line)-2]
	if bytes.IndexByte(line, 0) >= 0 || bytes.IndexByte(line, '\r') >= 0 || bytes.IndexByte(line, '\n') >= 0 {
		return nil, errBytes
	}
	return line, nil
}

// hasteStep is how often a waiting session looks whether there is haste now.
const hasteStep = 2 * time.Second

// await fills the buffer with what belongs to the command for which the client
// has had time since begin.
func (w *wire) await(begin time.Time) error {
	for {
		limit := w.patience(begin)
		step := limit
		if soon := time.Now().Add(hasteStep); w.cfg.Haste != nil && soon.Before(limit) {
			step = soon
		}
		err := w.fill(step, errIdle)
		if err != errIdle || !time.Now().Before(limit) {
			return err
		}
	}
}

// patience is when the command must be there. In haste a client has so long
// from its last message to MAIL, and inside a transaction for each command.
func (w *wire) patience(begin time.Time) time.Time {
	limit := begin.Add(w.cfg.CommandTimeout)
	haste := w.haste()
	if haste <= 0 {
		return limit
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	hurried := w.idle.Add(haste)
	if least := begin.Add(min(haste, hasteStep)); hurried.Before(least) {
		hurried = least // what is on its way already is heard
	}
	if w.busy {
		hurried = begin.Add(haste)
	}
	if hurried.Before(limit) {
		return hurried
	}
	return limit
}

func (w *wire) haste() time.Duration {
	if w.cfg.Haste == nil {
		return 0
	}
	return w.cfg.Haste()
}

// upToCRLF returns b up to the first CRLF, or all of b. cr says that a CR came
// just before b.
func upToCRLF(b []byte, cr bool) (part []byte, ended bool) {
	if cr && b[0] == '\n' {
		return b[:1], true
	}
	if i := bytes.Index(b, crlf); i >= 0 {
		return b[:i+2], true
	}
	return b, false
}

// lineLimit is what the command at the start of the line allows: AUTH may
// bring a long initial response.
func (w *wire) lineLimit() int {
	if len(w.line) >= 5 && bytes.EqualFold(w.line[:5], []byte("AUTH ")) {
		return maxAuthLine
	}
	return maxLine
}

// linger lets the client read the last reply: to close a socket with unread
// input would reset the connection and take the reply with it.
func (w *wire) linger() {
	half, ok := w.rw.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil || w.conn.SetReadDeadline(time.Now().Add(time.Second)) != nil {
		return
	}
	// However it ends, the connection is closed next.
	_, _ = io.CopyN(io.Discard, w.rw, 256<<10)
}
