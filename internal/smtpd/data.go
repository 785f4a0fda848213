package smtpd

import (
	"bytes"
	"io"
)

// scanState says what precedes the next octet of the text.
type scanState int

const (
	atLineStart scanState = iota
	inLine
	seenCR
	seenDot   // a dot at the start of the line
	seenDotCR // and a CR after it
)

// dataReader reads the text of one message (RFC 5321 4.1.1.4). It unstuffs dots and
// turns CRLF into LF. Only CRLF.CRLF ends the message. One with a defect is read to
// that end too, but nothing of it is returned any more; the defect is the error.
type dataReader struct {
	text
	state scanState
	ended bool
}

// Read implements io.Reader.
func (d *dataReader) Read(p []byte) (n int, err error) {
	for n < len(p) && !d.ended && d.lost == nil {
		if !d.wire.Empty() {
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

// drain discards what is left.
func (d *dataReader) drain() {
	// outcome returns the error.
	_, _ = io.Copy(io.Discard, d)
}

// step consumes octets of the buffer, or changes the state, and returns how many
// octets it put into dst, which is not empty.
func (d *dataReader) step(dst []byte) int {
	c := d.wire.Buffered()[0]
	switch d.state {
	case inLine:
		return d.upToCR(dst)
	case atLineStart:
		d.line = 0
		if c != '.' {
			d.state = inLine
			return 0
		}
		d.state = seenDot
	case seenCR:
		return d.stepAfterCR(c, dst)
	case seenDot:
		if c != '\r' {
			d.state = inLine // the dot was stuffed (RFC 5321 4.5.2)
			return 0
		}
		d.state = seenDotCR
	case seenDotCR:
		if c != '\n' {
			d.state = seenCR // stepAfterCR finds the bare CR
			return 0
		}
		d.ended = true
	}
	d.wire.Skip(1)
	return 0
}

func (d *dataReader) stepAfterCR(c byte, dst []byte) int {
	switch c {
	case '\n':
		d.wire.Skip(1)
		d.state = atLineStart
		return d.newline(dst)
	case '\r':
		d.wire.Skip(1) // and this CR may belong to a CRLF
	default:
		d.state = inLine
	}
	return d.bareCR(dst)
}

// upToCR consumes octets up to the next CR.
func (d *dataReader) upToCR(dst []byte) int {
	b := d.wire.Buffered()
	if len(b) > len(dst) {
		b = b[:len(dst)]
	}
	i := bytes.IndexByte(b, '\r')
	if i >= 0 {
		b = b[:i]
		d.state = seenCR
		d.wire.Skip(1)
	}
	d.wire.Skip(len(b))
	return d.inside(dst, b)
}
