package wire

import (
	"bytes"
	"errors"
)

// ErrEndless ends a line beyond every limit: what follows it cannot be told from
// the line.
var ErrEndless = errors.New("endless line")

// Ending finds the end of a line in b, of which cr says that it comes behind a CR.
// It returns the length of the line with its end.
type Ending func(b []byte, cr bool) (length int, ended bool)

// CRLF is the Ending of protocols in which nothing else ends a line.
func CRLF(b []byte, cr bool) (length int, ended bool) {
	if cr && len(b) > 0 && b[0] == '\n' {
		return 1, true
	}
	if i := bytes.Index(b, []byte("\r\n")); i >= 0 {
		return i + 2, true
	}
	return len(b), false
}

// LF is the Ending of protocols that take a bare LF, as a person at nc(1) sends it.
func LF(b []byte, _ bool) (length int, ended bool) {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return i + 1, true
	}
	return len(b), false
}

// Line returns the next line with its end, and its size. Of a line larger than keep
// it returns the beginning; the rest is read, so that the session stays in step. A
// line larger than most is ErrEndless; 0 bounds it by nothing but the limit of the
// reads. What the end of input cuts off is no line. The octets are good until the
// next call.
func (c *Conn) Line(end Ending, keep, most int) (line []byte, size int, err error) {
	c.line = c.line[:0]
	for cr, ended := false, false; !ended; {
		if c.Empty() {
			if err := c.Fill(); err != nil {
				return nil, size, err
			}
		}
		var n int
		n, ended = end(c.Buffered(), cr)
		part := c.Buffered()[:n]
		c.Skip(n)
		cr = part[n-1] == '\r'
		size += n
		c.line = append(c.line, part[:min(n, keep-len(c.line))]...)
		if most > 0 && size > most {
			return nil, size, ErrEndless
		}
	}
	return c.line, size, nil
}
