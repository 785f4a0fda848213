package pop3

import (
	"bytes"
	"errors"
	"io"
)

// chunkSize is how much of a message is read at a time. Encoding at most
// doubles it.
const chunkSize = 32 << 10

var (
	crlf   = []byte("\r\n")
	lf     = []byte("\n")
	stop   = []byte(".\r\n")
	twoDot = []byte("..")
)

// encoder turns the bytes of a message file into a POP3 multi-line reply (RFC 1939
// 3): every LF becomes CRLF unless a CR precedes it (another program may have stored
// the file with CRLF), and a dot at the start of a line is doubled, as the message's
// first byte too. Everything else is kept, NUL and bare CR included.
//
// A line starts only after a LF. The zero value is ready for a message.
type encoder struct {
	last byte // read so far; 0 at the start
	mid  bool // in the middle of a line
}

// append encodes the next piece of a message onto dst.
func (e *encoder) append(dst, piece []byte) []byte {
	for len(piece) > 0 {
		if !e.mid && piece[0] == '.' {
			dst, piece, e.last, e.mid = append(dst, twoDot...), piece[1:], '.', true
			continue
		}
		end := bytes.IndexByte(piece, '\n')
		if end < 0 {
			e.last, e.mid = piece[len(piece)-1], true
			return append(dst, piece...)
		}
		if end > 0 {
			e.last = piece[end-1]
			dst = append(dst, piece[:end]...)
		}
		if e.last == '\r' {
			dst = append(dst, '\n')
		} else {
			dst = append(dst, crlf...)
		}
		piece, e.last, e.mid = piece[end+1:], '\n', false
	}
	return dst
}

// finish ends the last line if it has no end, and then the reply.
func (e *encoder) finish(dst []byte) []byte {
	if e.mid {
		dst = append(dst, crlf...)
	}
	*e = encoder{}
	return append(dst, stop...)
}

// measure returns how many octets r has as the client counts them: with CRLF line
// ends and the last line ended, doubled dots counted once (RFC 1939 11). It must
// agree with encoder. buf is for reading.
func measure(r io.Reader, buf []byte) (int64, error) {
	var size int64
	last := byte('\n')
	for {
		n, err := r.Read(buf)
		if piece := buf[:n]; n > 0 {
			size += int64(n + bytes.Count(piece, lf) - bytes.Count(piece, crlf))
			if last == '\r' && piece[0] == '\n' {
				size--
			}
			last = piece[n-1]
		}
		switch {
		case errors.Is(err, io.EOF) && last != '\n':
			return size + 2, nil
		case errors.Is(err, io.EOF):
			return size, nil
		case err != nil:
			return 0, err
		}
	}
}

// top finds the end of what TOP sends: the header, the empty line and the
// first lines of the body (RFC 1939 7).
type top struct {
	lines  int  // of the body, still to send
	body   bool // the empty line has come
	inLine int  // bytes of the current line so far; 2 means two or more
	cr     bool // there is one, a CR
}

// keep returns how many of the next bytes belong to the reply, and whether they are
// the last.
func (t *top) keep(piece []byte) (n int, done bool) {
	if t.body && t.lines == 0 {
		return 0, true
	}
	for n < len(piece) {
		end := bytes.IndexByte(piece[n:], '\n')
		if end < 0 {
			t.noteLine(piece[n:])
			return len(piece), false
		}
		t.noteLine(piece[n : n+end])
		n += end + 1
		if t.endLine(); t.body && t.lines == 0 {
			return n, true
		}
	}
	return n, false
}

func (t *top) noteLine(part []byte) {
	if len(part) == 0 {
		return
	}
	t.cr = t.inLine == 0 && len(part) == 1 && part[0] == '\r'
	t.inLine = min(t.inLine+len(part), 2)
}

func (t *top) endLine() {
	empty := t.inLine == 0 || t.cr
	t.inLine, t.cr = 0, false
	switch {
	case t.body:
		t.lines--
	case empty:
		t.body = true
	}
}
