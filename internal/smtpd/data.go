package smtpd

import (
	"bytes"
	"fmt"
	"io"
	"time"

	"paperpath/internal/status"
)

// maxTextLine is the longest line of a message, in octets without its end. RFC
// 5321 4.5.3.1.6 promises no more than 998; what is longer is carried whole or
// refused, never cut.
const maxTextLine = 1 << 20

// Where in the text the next octet stands.
type place int

const (
	lineStart place = iota
	inLine
	afterCR
	afterDot   // a dot at the start of a line
	afterDotCR // and a CR behind it
)

// dataReader reads the text of one message (RFC 5321 4.1.1.4): dots unstuffed,
// CRLF turned into LF. Only CRLF.CRLF ends it. A message with a flaw is read
// to that end too, without giving anything on, and then the flaw is the error.
// When the connection breaks inside the message the error is sticky: nothing
// more is read from it.
type dataReader struct {
	wire *wire

	place place
	size  int64 // octets so far, with CRLF line ends
	line  int   // octets of this line so far
	flaw  error
	ended bool
	lost  error

	received int64         // octets from the connection
	waited   time.Duration // for them
}

// Read fills p with text.
func (d *dataReader) Read(p []byte) (n int, err error) {
	for n < len(p) && !d.ended && d.lost == nil {
		if d.wire.r < d.wire.w {
			n += d.step(p[n:])
			continue
		}
		if n > 0 {
			return n, nil
		}
		d.fill()
	}
	if n > 0 || len(p) == 0 {
		return n, nil
	}
	return 0, d.outcome()
}

// outcome is the error at the end.
func (d *dataReader) outcome() error {
	switch {
	case d.lost != nil:
		return d.lost
	case d.flaw != nil:
		return d.flaw
	}
	return io.EOF
}

// drain reads what is left.
func (d *dataReader) drain() {
	// The copy's error is what outcome returns.
	_, _ = io.Copy(io.Discard, d)
}

// fill reads from the connection. Each read has its own limit, and all of them
// together one that grows with what came: the time in which the Session takes
// no input does not count against the client.
func (d *dataReader) fill() {
	start := time.Now()
	limit, why := start.Add(d.wire.cfg.DataTimeout), errIdle
	if rate := d.wire.cfg.MinRate; rate > 0 {
		earned := time.Duration(d.received / int64(rate) * int64(time.Second))
		if slow := limit.Add(earned - d.waited); slow.Before(limit) {
			limit, why = slow, errSlow
		}
	}
	if err := d.wire.fill(limit, why); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		d.lost = &status.Error{Exit: status.TempFail, Reply: 421, Enhanced: "4.4.2", Text: "connection lost inside the message", Err: err}
	}
	d.waited += time.Since(start)
	d.received += int64(d.wire.w)
}

// step takes octets from the buffer, at least one or a change of place, and
// returns how many it put into dst, which is not empty.
func (d *dataReader) step(dst []byte) int {
	c := d.wire.buf[d.wire.r]
	switch d.place {
	case inLine:
		return d.text(dst)
	case lineStart:
		d.line = 0
		if c != '.' {
			d.place = inLine
			return 0
		}
		d.place = afterDot
	case afterCR:
		return d.afterCR(c, dst)
	case afterDot:
		if c != '\r' {
			d.place = inLine // the dot was stuffed (RFC 5321 4.5.2)
			return 0
		}
		d.place = afterDotCR
	case afterDotCR:
		if c != '\n' {
			d.place = afterCR // which finds the bare CR
			return 0
		}
		d.ended = true
	}
	d.wire.r++
	return 0
}

func (d *dataReader) afterCR(c byte, dst []byte) int {
	switch c {
	case '\n':
		d.wire.r++
		d.place = lineStart
		return d.put(dst, crlf[1:], 2)
	case '\r':
		d.wire.r++
	default:
		d.place = inLine
	}
	d.spoil("bare CR in the message")
	return 0
}

// text takes octets up to the next CR.
func (d *dataReader) text(dst []byte) int {
	b := d.wire.buffered()
	if len(b) > len(dst) {
		b = b[:len(dst)]
	}
	i := bytes.IndexByte(b, '\r')
	if i >= 0 {
		b = b[:i]
		d.place = afterCR
		d.wire.r++
	}
	d.wire.r += len(b)
	if bytes.IndexByte(b, '\n') >= 0 {
		d.spoil("bare LF in the message")
	}
	if bytes.IndexByte(b, 0) >= 0 {
		d.spoil("NUL in the message")
	}
	if d.line += len(b); d.line > maxTextLine {
		d.spoil("a line of the message is too long")
		d.line = 0
	}
	return d.put(dst, b, len(b))
}

// put gives text on, unless the message has a flaw. octets is its size on the
// wire.
func (d *dataReader) put(dst, text []byte, octets int) int {
	if d.flaw != nil {
		return 0
	}
	d.size += int64(octets)
	if most := d.wire.cfg.MaxSize; most > 0 && d.size > most {
		d.flaw = tooBig(most)
		return 0
	}
	return copy(dst, text)
}

// spoil notes the first flaw.
func (d *dataReader) spoil(text string) {
	if d.flaw == nil {
		d.flaw = status.Refuse("5.6.0", text)
	}
}

func tooBig(most int64) error {
	return &status.Error{Exit: status.Refused, Reply: 552, Enhanced: "5.3.4", Text: fmt.Sprintf("message is larger than %d octets", most)}
}
