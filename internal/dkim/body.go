package dkim

import (
	"bytes"
	"crypto/sha256"
	"hash"
	"strings"
	"sync"
)

// body hashes the canonical form of a body that is written to it (RFC 6376 3.4.3, 3.4.4).
// Blank lines are counted and not kept: they belong to the body only if a line with
// something in it follows.
type body struct {
	form   canonical
	hash   hash.Hash
	size   int64 // octets hashed
	ends   int64 // line ends that were read, but not hashed yet
	cr     bool  // the last octet was a CR, which may begin a line end
	blanks bool  // relaxed: blanks were read that are not hashed yet
	out    []byte
}

// bodies are for the next message.
var bodies = sync.Pool{New: func() any { return &body{hash: sha256.New(), out: make([]byte, 0, 8<<10)} }}

// newBody returns one for a form. Its done gives it back.
func newBody(form canonical) *body {
	b := bodies.Get().(*body)
	b.hash.Reset()
	*b = body{form: form, hash: b.hash, out: b.out[:0]}
	return b
}

func (b *body) done() { bodies.Put(b) }

// lineEnds is written piece by piece where many blank lines count.
var lineEnds = strings.Repeat("\r\n", 4096)

// Write implements io.Writer. It never fails.
func (b *body) Write(p []byte) (int, error) {
	if b.form == simple {
		b.writeSimple(p)
	} else {
		b.writeRelaxed(p)
	}
	return len(p), nil
}

// writeSimple takes octets of a body whose lines stay as they are.
func (b *body) writeSimple(p []byte) {
	for len(p) > 0 {
		if p[0] == '\n' {
			b.ends, b.cr, p = b.ends+1, false, p[1:]
			continue
		}
		if n := len(p) - len(bytes.TrimLeft(p, "\r")); n > 0 { // all but the last are stray ones
			if !b.cr {
				n--
			}
			b.put(p[:n])
			p, b.cr = bytes.TrimLeft(p, "\r"), true
			continue
		}
		if b.cr {
			b.put([]byte("\r"))
			b.cr = false
		}
		n := bytes.IndexByte(p, '\n')
		if n < 0 {
			n = len(p)
		}
		line := bytes.TrimRight(p[:n], "\r")
		b.put(line)
		p = p[len(line):]
	}
}

// writeRelaxed takes octets of a body in which a run of blanks counts as one, and as
// nothing at the end of a line.
func (b *body) writeRelaxed(p []byte) {
	for len(p) > 0 {
		word := 0
		for word < len(p) && p[word] > ' ' {
			word++
		}
		if word == 0 {
			b.between(p[0])
			p = p[1:]
			continue
		}
		if b.cr {
			b.octet('\r') // a stray one
			b.cr = false
		}
		b.octet(p[0])
		b.put(p[1:word])
		p = p[word:]
	}
}

// between takes an octet that may be a blank or belong to a line end.
func (b *body) between(c byte) {
	if c == '\n' {
		b.ends++
		b.cr, b.blanks = false, false
		return
	}
	if b.cr {
		b.octet('\r') // a stray one
	}
	switch b.cr = c == '\r'; c {
	case '\r':
	case ' ', '\t':
		b.blanks = true
	default:
		b.octet(c)
	}
}

// octet hashes an octet that is not a blank.
func (b *body) octet(c byte) {
	if b.ends > 0 || len(b.out)+2 > cap(b.out) {
		b.begin()
	}
	if b.blanks {
		b.blanks = false
		b.out = append(b.out, ' ')
	}
	b.out = append(b.out, c)
}

// put hashes octets as they are.
func (b *body) put(p []byte) {
	if len(p) == 0 {
		return
	}
	b.begin()
	if len(p) > cap(b.out)-len(b.out) {
		b.flush()
	}
	if len(p) > cap(b.out) {
		b.size += int64(len(p))
		b.hash.Write(p)
		return
	}
	b.out = append(b.out, p...)
}

// begin hashes the line ends that are due, since something follows them, and makes room.
func (b *body) begin() {
	for b.ends > 0 {
		if cap(b.out)-len(b.out) < 2 {
			b.flush()
		}
		n := min(b.ends, int64(cap(b.out)-len(b.out))/2, int64(len(lineEnds)/2))
		b.out = append(b.out, lineEnds[:2*n]...)
		b.ends -= n
	}
	if cap(b.out)-len(b.out) < 2 {
		b.flush()
	}
}

func (b *body) flush() {
	b.size += int64(len(b.out))
	b.hash.Write(b.out)
	b.out = b.out[:0]
}

// sum ends the body and returns its hash and the octets that were hashed. A body ends in
// exactly one line end; of an empty one simple makes a line, relaxed nothing.
func (b *body) sum() ([]byte, int64) {
	if b.cr {
		b.octet('\r')
		b.cr = false
	}
	b.flush()
	if b.ends = 0; b.size > 0 || b.form == simple {
		b.ends = 1
	}
	b.begin()
	b.flush()
	return b.hash.Sum(nil), b.size
}
