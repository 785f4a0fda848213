package sevenbit

import "encoding/base64"

// width is how long a line of quoted-printable or base64 may be (RFC 2045 6.7, 6.8).
const width = 76

// lines writes lines of quoted-printable, with soft line breaks where they get too long.
type lines struct {
	dst  []byte
	col  int
	from int // octets of "From" that the line consists of
}

// put writes octets that must stay on one line.
func (l *lines) put(octets ...byte) {
	if l.col+len(octets) >= width { // a soft line break must have room
		l.dst = append(l.dst, "=\r\n"...)
		l.col, l.from = 0, 0
		if octets[0] == '-' { // it must not look like a delimiter (RFC 2046 5.1.1)
			octets = []byte("=2D")
		}
	}
	if l.col == l.from && l.col < len("From") && octets[0] == "From"[l.col] {
		l.from++
	}
	l.dst, l.col = append(l.dst, octets...), l.col+len(octets)
}

func (l *lines) hex(b byte) {
	const digits = "0123456789ABCDEF"
	l.put('=', digits[b>>4], digits[b&15])
}

func (l *lines) newline() {
	l.dst = append(l.dst, "\r\n"...)
	l.col, l.from = 0, 0
}

// quote encodes a text as quoted-printable (RFC 2045 6.7).
type quote struct {
	lines
	blank byte // written when it is known what follows
	cr    bool // the last octet was a CR
}

func (q *quote) write(dst, p []byte) []byte {
	q.dst = dst
	for _, b := range p {
		if q.cr && b == '\n' {
			q.cr = false
			q.newline()
			continue
		}
		q.flush(b == '\r')
		switch {
		case b == '\r':
			q.cr = true
		case b == ' ', b == '\t':
			q.blank = b
		case b == '=', b < ' ', b > '~', b == '.' && q.col == 0:
			q.hex(b)
		default:
			q.put(b)
		}
	}
	return q.dst
}

// flush writes what waits. A blank at the end of a line would be lost, and one behind
// "From" at its start would make mailbox files read a new message (RFC 2049 3).
func (q *quote) flush(end bool) {
	switch {
	case q.cr:
		q.hex('\r')
	case q.blank != 0 && (end || q.from == len("From") && q.col == q.from):
		q.hex(q.blank)
	case q.blank != 0:
		q.put(q.blank)
	}
	q.cr, q.blank = false, 0
}

func (q *quote) end(dst []byte) []byte {
	q.dst = dst
	q.flush(true)
	return q.dst
}

// requote mends quoted-printable: it encodes octets beyond ASCII, which decoders take
// as they are, and breaks long lines.
type requote struct {
	lines
	held []byte // "=" and what follows it, until it is known what that is
}

const maxHeld = 200

func (q *requote) write(dst, p []byte) []byte {
	q.dst = dst
	for _, b := range p {
		if len(q.held) > 0 && q.hold(b) {
			continue
		}
		if b == '=' {
			q.held = append(q.held[:0], b)
			continue
		}
		q.plain(b)
	}
	return q.dst
}

// plain writes an octet that is not part of an escape.
func (q *requote) plain(b byte) {
	switch {
	case b == '\n':
		q.newline()
	case b == '\r': // its LF follows
	case b >= 0x80:
		q.hex(b)
	default:
		q.put(b)
	}
}

// hold takes the octet after held, and reports whether it belongs there: two digits, or
// blanks and a line end. Otherwise the "=" stands for itself, as decoders take it.
func (q *requote) hold(b byte) bool {
	last := q.held[len(q.held)-1]
	switch {
	case len(q.held) == 1 && isHex(b):
	case len(q.held) == 2 && isHex(last) && isHex(b):
		q.put('=', last, b)
		q.held = q.held[:0]
		return true
	case !isHex(last) && last != '\r' && (b == ' ' || b == '\t' || b == '\r') && len(q.held) < maxHeld:
	case last == '\r' && b == '\n':
		q.dst = append(q.dst, '=')
		q.newline()
		q.held = q.held[:0]
		return true
	default:
		q.release()
		return false
	}
	q.held = append(q.held, b)
	return true
}

// release writes what is held as it is, with the "=" encoded.
func (q *requote) release() {
	held := q.held
	q.held = nil
	if len(held) > 0 {
		q.hex('=')
		for _, b := range held[1:] {
			q.plain(b)
		}
	}
}

func isHex(b byte) bool { return '0' <= b && b <= '9' || 'A' <= b && b <= 'F' || 'a' <= b && b <= 'f' }

func (q *requote) end(dst []byte) []byte {
	q.dst = dst
	if len(q.held) > 0 && !isHex(q.held[len(q.held)-1]) { // a soft line break
		q.dst, q.held = append(q.dst, '='), nil
	}
	q.release()
	return q.dst
}

// base64Encoder encodes octets as base64.
type base64Encoder struct {
	last  bool // the text ends behind it
	col   int
	group []byte
}

func (e *base64Encoder) write(dst, p []byte) []byte {
	for len(p) > 0 {
		n := min(3-len(e.group), len(p))
		e.group, p = append(e.group, p[:n]...), p[n:]
		if len(e.group) == 3 {
			dst = e.flush(dst)
		}
	}
	return dst
}

func (e *base64Encoder) flush(dst []byte) []byte {
	if e.col == width {
		dst, e.col = append(dst, "\r\n"...), 0
	}
	dst = base64.StdEncoding.AppendEncode(dst, e.group)
	e.group, e.col = e.group[:0], e.col+4
	return dst
}

func (e *base64Encoder) end(dst []byte) []byte {
	if len(e.group) > 0 {
		dst = e.flush(dst)
	}
	if e.last && e.col > 0 {
		dst = append(dst, "\r\n"...)
	}
	return dst
}

// rewrap mends base64: it removes what decoders pass over (RFC 2045 6.8), and breaks
// lines anew.
type rewrap struct {
	last bool
	col  int
}

func (r *rewrap) write(dst, p []byte) []byte {
	for _, b := range p {
		if !inBase64(b) {
			continue
		}
		if r.col == width {
			dst, r.col = append(dst, "\r\n"...), 0
		}
		dst, r.col = append(dst, b), r.col+1
	}
	return dst
}

func inBase64(b byte) bool {
	return 'A' <= b && b <= 'Z' || 'a' <= b && b <= 'z' || '0' <= b && b <= '9' || b == '+' || b == '/' || b == '='
}

func (r *rewrap) end(dst []byte) []byte {
	if r.last && r.col > 0 {
		dst = append(dst, "\r\n"...)
	}
	return dst
}

// mask is for text that nobody is to see: it has a question mark for each octet beyond
// ASCII if seven, and breaks long lines before a blank of its own.
type mask struct {
	seven bool
	col   int
}

func (m *mask) write(dst, p []byte) []byte {
	for _, b := range p {
		switch {
		case b == '\n':
			m.col = -1
		case b == '\r':
			m.col--
		case m.col == MaxLine:
			dst, m.col = append(dst, "\r\n "...), 1
		}
		if m.seven && b >= 0x80 {
			b = '?'
		}
		dst, m.col = append(dst, b), m.col+1
	}
	return dst
}

func (m *mask) end(dst []byte) []byte { return dst }
