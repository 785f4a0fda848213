package wire

import (
	"bytes"
	"errors"
)

// ErrEndless means that a line exceeded every limit. Its end was not found, so the
// session cannot go on.
var ErrEndless = errors.New("endless line")

// Ending finds the end of a line in b and returns the length of the line with its end.
// cr means that b follows a CR.
type Ending func(b []byte, cr bool) (length int, ended bool)

// CRLF is the Ending of protocols in which only CRLF ends a line.
func CRLF(b []byte, cr bool) (length int, ended bool) {
	if cr && len(b) > 0 && b[0] == '\n' {
		return 1, true
	}
	if i := bytes.Index(b, []byte("\r\n")); i >= 0 {
		return i + 2, true
	}
	return len(b), false
}

// LF is the Ending of protocols that accept a bare LF too, as a person at nc(1) sends it.
func LF(b []byte, _ bool) (length int, ended bool) {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return i + 1, true
	}
	return len(b), false
}

// Line returns the next line with its end, and its size. Of a line larger than keep it
// returns only the beginning, but reads all of it, so that the session can go on. A line
// larger than most is ErrEndless; with 0 only the time limit applies. A line cut off by
// the end of input is not returned. The octets are valid until the next call.
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
