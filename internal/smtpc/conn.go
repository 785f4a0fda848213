package smtpc

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"paperpath/internal/visible"
)

// Times are the limits of a session (RFC 5321 4.5.3.2).
type Times struct {
	Greeting  time.Duration
	Hello     time.Duration // EHLO, HELO, STARTTLS and each step of AUTH
	Handshake time.Duration // of TLS
	Mail      time.Duration // MAIL and RSET
	Rcpt      time.Duration
	Data      time.Duration // until the 354
	Block     time.Duration // for one piece of the text
	Answer    time.Duration // to the end of the text
	Quit      time.Duration
	Grace     time.Duration // from the order to stop until the connection is cut
}

// DefaultTimes returns the times of RFC 5321 4.5.3.2, and our own where it has
// none.
func DefaultTimes() Times {
	return Times{
		Greeting: 5 * time.Minute, Hello: 5 * time.Minute, Handshake: time.Minute,
		Mail: 5 * time.Minute, Rcpt: 5 * time.Minute, Data: 2 * time.Minute,
		Block: 3 * time.Minute, Answer: 10 * time.Minute,
		Quit: 5 * time.Second, Grace: 5 * time.Second,
	}
}

// conn is the connection: commands are collected and sent in one flight, replies are
// read whole and bounded, and every wait has its limit. Once it is broken no more
// octets go out, so a text that could not be sent completely never gets its final dot.
type conn struct {
	raw    net.Conn // for deadlines
	rw     net.Conn // raw, or TLS over it
	r      *bufio.Reader
	out    []byte
	times  Times
	broken error         // for good
	took   time.Duration // the wait for the last reply

	mu      sync.Mutex
	end     time.Time // no deadline is later, except that of the answer to a text
	stopped bool
}

func newConn(c net.Conn, t Times, end time.Time) *conn {
	return &conn{raw: c, rw: c, r: bufio.NewReaderSize(c, maxReadLine), times: t, end: end}
}

// allow sets the time for the next step. past is true after the end of a text: only the
// answer tells what happened then, so the session's own limit does not cut it off.
func (c *conn) allow(d time.Duration, past bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := time.Now().Add(d)
	if at.After(c.end) && (!past || c.stopped) {
		at = c.end
	}
	_ = c.raw.SetDeadline(at) // this fails only on a closed connection, which the next call notices
}

// stop lets the session go on for a moment: the message of a transaction that is cut
// between the end of its text and the answer would arrive twice.
func (c *conn) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	c.end = time.Now().Add(c.times.Grace)
	_ = c.raw.SetDeadline(c.end)
}

// cut ends the connection for good.
func (c *conn) cut(why error) {
	if c.broken == nil {
		c.broken = why
	}
	c.raw.Close()
}

// command adds a command to the flight.
func (c *conn) command(words ...string) {
	c.out = append(append(c.out, strings.Join(words, " ")...), "\r\n"...)
}

// flush sends the flight.
func (c *conn) flush() error {
	if c.broken != nil {
		return c.broken
	}
	if len(c.out) == 0 {
		return nil
	}
	err := c.write(c.out)
	c.out = c.out[:0]
	return err
}

// silent fails if the host has sent something unasked: the replies would no longer
// match the commands.
func (c *conn) silent() error {
	if c.broken == nil && c.r.Buffered() > 0 {
		c.cut(ErrEarly)
	}
	return c.broken
}

// reply reads one reply to its last line (RFC 5321 4.2.1), and hands each line to each
// if that is not nil. past is as in allow.
func (c *conn) reply(limit time.Duration, past bool, each func(line string)) (Reply, error) {
	if c.broken != nil {
		return Reply{}, c.broken
	}
	c.allow(limit, past)
	began := time.Now()
	r, err := c.readReply(each)
	c.took = time.Since(began)
	if err != nil {
		c.cut(err)
		return Reply{}, c.broken
	}
	return r, nil
}

// answered reports whether a whole reply has come, so that reply does not wait.
func (c *conn) answered() bool {
	got, _ := c.r.Peek(c.r.Buffered())
	for line := range bytes.Lines(got) {
		if line[len(line)-1] == '\n' && (len(line) < 4 || line[3] != '-') {
			return true
		}
	}
	return false
}

// lastWords reads what the host said before it stopped reading: often nothing.
func (c *conn) lastWords() Reply {
	c.allow(c.times.Quit, true)
	r, err := c.readReply(nil)
	if err != nil {
		return Reply{}
	}
	return r
}

// write sends a piece of a text.
func (c *conn) write(p []byte) error {
	if c.broken != nil {
		return c.broken
	}
	c.allow(c.times.Block, false)
	if _, err := c.rw.Write(p); err != nil {
		c.broken = Plain(err)
	}
	return c.broken
}

func (c *conn) readReply(each func(line string)) (Reply, error) {
	var r Reply
	var text strings.Builder
	for size := 0; ; {
		line, n, err := c.readLine()
		if err != nil {
			return r, err
		}
		if size += n; size > maxReply {
			return r, ErrLong
		}
		code, more, ok := splitReply(line)
		if !ok || r.Code != 0 && code != r.Code {
			return r, fmt.Errorf("its answer is not SMTP: \"%s\"", visible.Shorten(line, 80))
		}
		if r.Code != 0 {
			text.WriteByte(' ')
		}
		r.Code = code
		if text.Len() < keptReply {
			text.WriteString(line)
		}
		if each != nil {
			each(line)
		}
		if !more {
			r.Text = visible.Shorten(text.String(), keptReply)
			return r, nil
		}
	}
}

// readLine returns a line made printable, and its size with its end.
func (c *conn) readLine() (string, int, error) {
	line, err := c.r.ReadSlice('\n')
	switch {
	case err == nil:
		return visible.ASCII(strings.TrimSuffix(string(line[:len(line)-1]), "\r")), len(line), nil
	case errors.Is(err, bufio.ErrBufferFull):
		return "", 0, fmt.Errorf("a line of its reply is longer than %d octets", maxReadLine)
	case errors.Is(err, io.EOF) && len(line) > 0:
		return "", 0, fmt.Errorf("%w after \"%s\"", ErrCut, visible.ASCII(string(line[:min(len(line), 80)])))
	}
	return "", 0, Plain(err)
}

// Plain says what happened to a connection without the addresses that net's
// errors repeat.
func Plain(err error) error {
	var op *net.OpError
	var call *os.SyscallError
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return ErrTime
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return ErrCut
	case errors.As(err, &call):
		return call.Err
	case errors.As(err, &op):
		return op.Err
	}
	return err
}
