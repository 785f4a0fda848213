package pop3

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Limits of the wire, in octets without the line end.
const (
	maxLine     = 512      // a command; RFC 2449 4 asks for 255
	maxAuthLine = 12288    // AUTH and the answers of a SASL exchange (RFC 5034 4)
	maxOverlong = 64 << 10 // a line longer than this ends the session
	inSize      = 4096     // input buffer
	flushAt     = 32 << 10 // output goes out at the latest when this much waits
)

var (
	errLongLine = errors.New("line too long")     // the whole line was read: the session is in step
	errFlood    = errors.New("endless line")      // it was not
	errIdle     = errors.New("idle for too long") // nothing is sent to the client (RFC 1939 3)
	errDrain    = errors.New("server shuts down") //
	errStalled  = errors.New("client reads nothing")
)

// wire is the connection as lines in and replies out. Output is collected and
// leaves in one write when the next command would have to be waited for, so a
// flight of pipelined commands costs one write (RFC 2449 6.6).
type wire struct {
	conn  net.Conn      // for deadlines and closing
	rw    io.ReadWriter // conn, or TLS over it
	in    *bufio.Reader
	out   []byte
	write time.Duration // limit for each write
	drain time.Duration

	mu       sync.Mutex // guards what is below against drainNow
	limit    time.Time  // for the line that is being read
	draining bool
	haste    func() time.Duration // for the time since begin, until it is calm; nil: none
	begin    time.Time
}

// hasteStep is how often a waiting session looks whether there is haste now.
const hasteStep = 2 * time.Second

// hurry makes the client's time since begin as short as haste says; 0 leaves it.
func (w *wire) hurry(begin time.Time, haste func() time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begin, w.haste = begin, haste
}

// calm ends that.
func (w *wire) calm() { w.hurry(time.Time{}, nil) }

// inTime is the limit with regard to haste, and the next time to look at it. The
// caller holds mu.
func (w *wire) inTime() (limit, look time.Time) {
	limit = w.limit
	if w.haste == nil {
		return limit, limit
	}
	if haste := w.haste(); haste > 0 && w.begin.Add(haste).Before(limit) {
		limit = w.begin.Add(haste)
	}
	if soon := time.Now().Add(hasteStep); soon.Before(limit) {
		return limit, soon
	}
	return limit, limit
}

func newWire(conn net.Conn, cfg Config) *wire {
	w := &wire{conn: conn, rw: conn, write: cfg.WriteTimeout, drain: cfg.DrainTimeout}
	w.in = bufio.NewReaderSize(w, inSize)
	return w
}

// drainNow makes waits for a command short from now on: an idle client is let
// go soon, a busy one may finish.
func (w *wire) drainNow() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.draining = true
	w.setReadDeadline()
}

// allow sets the time by which the next line must be complete.
func (w *wire) allow(limit time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.limit = limit
}

func (w *wire) setReadDeadline() error {
	_, limit := w.inTime()
	if soon := time.Now().Add(w.drain); w.draining && soon.Before(limit) {
		limit = soon
	}
	return w.conn.SetReadDeadline(limit)
}

// Read fills the input buffer from the connection, after everything that waits
// has gone out.
func (w *wire) Read(p []byte) (int, error) {
	if err := w.flush(); err != nil {
		return 0, err
	}
	w.releaseOut()
	for {
		w.mu.Lock()
		err := w.setReadDeadline()
		w.mu.Unlock()
		if err != nil {
			return 0, err
		}
		n, err := w.rw.Read(p)
		if n > 0 || !w.waits(err) {
			return n, w.named(err, errIdle)
		}
	}
}

// waits reports whether a read ended only to look whether there is haste.
func (w *wire) waits(err error) bool {
	var t net.Error
	if !errors.As(err, &t) || !t.Timeout() {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	limit, _ := w.inTime()
	return !w.draining && w.haste != nil && time.Now().Before(limit)
}

// named replaces a timeout by what it means.
func (w *wire) named(err, timeout error) error {
	var t net.Error
	if !errors.As(err, &t) || !t.Timeout() {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.draining {
		return errDrain
	}
	return timeout
}

// readLine returns the next line without its CRLF; a bare LF, as a person at
// nc(1) sends it, ends a line too. What an end of input cut off is no line.
// The bytes are good until the next call.
func (w *wire) readLine() ([]byte, error) {
	line, err := w.in.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		line, err = w.longLine(line)
	}
	if err != nil {
		return nil, err
	}
	return trimEnd(line), nil
}

// longLine collects a line that does not fit in the input buffer, up to the
// limit for AUTH, and reads over the rest of it so that the session stays in
// step.
func (w *wire) longLine(start []byte) ([]byte, error) {
	line, seen := append([]byte(nil), start...), len(start)
	for {
		more, err := w.in.ReadSlice('\n')
		seen += len(more)
		if seen <= maxAuthLine+2 {
			line = append(line, more...)
		}
		switch {
		case seen > maxOverlong:
			return nil, errFlood
		case err == bufio.ErrBufferFull:
			continue
		case err != nil:
			return nil, err
		case seen > maxAuthLine+2:
			return nil, errLongLine
		}
		return line, nil
	}
}

func trimEnd(line []byte) []byte {
	line = line[:len(line)-1]
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line
}

// print adds to the output.
func (w *wire) print(format string, args ...any) {
	w.out = fmt.Appendf(w.out, format, args...)
}

// spill sends what waits once there is enough of it.
func (w *wire) spill() error {
	if len(w.out) < flushAt {
		return nil
	}
	return w.flush()
}

// flush sends what waits.
func (w *wire) flush() error {
	if len(w.out) == 0 {
		return nil
	}
	if err := w.conn.SetWriteDeadline(time.Now().Add(w.write)); err != nil {
		return err
	}
	_, err := w.rw.Write(w.out)
	w.out = w.out[:0]
	return w.named(err, errStalled)
}

// startTLS makes the connection a TLS one. What the client sent in clear text
// and was not read yet is thrown away: somebody on the way may have put it
// there (RFC 2595 4, CVE-2011-0411).
func (w *wire) startTLS(ctx context.Context, config *tls.Config) (tls.ConnectionState, error) {
	most := w.write
	w.mu.Lock()
	if limit, _ := w.inTime(); w.haste != nil {
		most = min(most, max(time.Until(limit), hasteStep))
	}
	w.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	if err := w.conn.SetDeadline(time.Now().Add(most)); err != nil {
		return tls.ConnectionState{}, err
	}
	w.in.Reset(w)
	secure := tls.Server(w.conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return tls.ConnectionState{}, fmt.Errorf("tls handshake: %w", err)
	}
	w.rw = secure
	return secure.ConnectionState(), nil
}

// close ends the connection; TLS says so to the client first, so that it can
// tell the end from a cut.
func (w *wire) close() {
	if c, ok := w.rw.(*tls.Conn); ok {
		c.Close()
	}
	w.conn.Close()
}
