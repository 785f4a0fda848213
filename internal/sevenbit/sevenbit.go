// Package sevenbit converts a message for a host that accepts only 7-bit text or lines of
// limited length (RFC 6152 3): parts that need it become quoted-printable or base64 (RFC
// 2045 6), and nothing else changes.
//
// Scan reads the text and finds out what has to change; Plan.Apply reads it again and
// changes it. Both stream: neither a part nor a line is ever held whole.
//
//   - A part becomes quoted-printable, which keeps its lines, or base64 if it is labelled
//     binary. One that is quoted-printable or base64 already stays so, and loses what is
//     not allowed there.
//   - The labels 8bit and binary of a multipart or message/rfc822 become 7bit.
//   - A message without MIME-Version gets it; a part without Content-Type is text/plain,
//     in UTF-8 if it is valid UTF-8, else in unknown-8bit (RFC 1428 3).
//   - Text before and after the parts of a multipart, which nobody is to see (RFC 2046
//     5.1.1), gets a question mark for each octet beyond ASCII.
//   - Nothing inside multipart/signed, multipart/encrypted, message/partial or
//     message/external-body may change (RFC 1847 2.1, RFC 2046 5.2), nor what cannot be
//     parsed beyond doubt. If such a part has octets beyond ASCII there is no 7-bit form.
//   - The header of the message keeps octets beyond ASCII: they are the concern of
//     SMTPUTF8.
package sevenbit

import (
	"fmt"
	"io"
)

// Limits of what is parsed. Parts beyond them are kept as they are.
const (
	MaxLine   = 998       // octets of a line without its end (RFC 5321 4.5.3.1.6)
	maxDepth  = 50        // of multiparts and messages inside each other
	maxParts  = 1000      // of a message
	maxHeader = 256 << 10 // octets of the header of the message or of a part
	maxFields = 5000      // of a header
)

// Options are what the result must be.
type Options struct {
	Seven bool // the body has no octet beyond ASCII
	Fold  bool // the lines have at most MaxLine octets, where they can be broken
}

// Refusal says why a text has no 7-bit form.
type Refusal struct{ Why string }

// Error implements error.
func (r *Refusal) Error() string { return r.Why }

// Plan is what changes in a text.
type Plan struct{ edits []edit }

// Empty reports whether nothing changes.
func (p *Plan) Empty() bool { return len(p.edits) == 0 }

// Apply returns the converted text. text must be the one that was scanned.
func (p *Plan) Apply(text io.Reader) io.Reader {
	return &applier{in: text, edits: p.edits, buf: make([]byte, 16<<10)}
}

// edit replaces the octets from start to end by insert, or by their encoding.
type edit struct {
	start, end int64
	insert     string
	encode     func() encoder // nil: insert
}

// encoder encodes a stretch of the text; both methods append to dst.
type encoder interface {
	write(dst, p []byte) []byte
	end(dst []byte) []byte
}

// applier is the converted text.
type applier struct {
	in    io.Reader
	edits []edit
	at    int64 // octets of in that have been read
	buf   []byte
	made  []byte // of which out is the rest
	out   []byte // not returned yet
	enc   encoder
	err   error
}

// Read implements io.Reader.
func (a *applier) Read(p []byte) (int, error) {
	for len(a.out) == 0 {
		if a.err != nil {
			return 0, a.err
		}
		a.step()
	}
	n := copy(p, a.out)
	a.out = a.out[n:]
	return n, nil
}

// step makes more of the text, or sets err.
func (a *applier) step() {
	switch {
	case len(a.edits) == 0:
		a.out = a.next(int64(len(a.buf)))
	case a.at < a.edits[0].start:
		a.out = a.next(a.edits[0].start - a.at)
	case a.edits[0].encode != nil:
		a.encode(a.edits[0])
	case a.at < a.edits[0].end:
		a.next(a.edits[0].end - a.at)
	default:
		a.out = append(a.made[:0], a.edits[0].insert...)
		a.made, a.edits = a.out, a.edits[1:]
	}
}

func (a *applier) encode(e edit) {
	if a.enc == nil {
		a.enc = e.encode()
	}
	if a.at < e.end {
		a.made = a.enc.write(a.made[:0], a.next(e.end-a.at))
	} else {
		a.made = a.enc.end(a.made[:0])
		a.enc, a.edits = nil, a.edits[1:]
	}
	a.out = a.made
}

// next reads at most n octets. The text must not end before the last edit.
func (a *applier) next(n int64) []byte {
	got, err := a.in.Read(a.buf[:min(n, int64(len(a.buf)))])
	a.at += int64(got)
	if a.err = err; err == io.EOF && len(a.edits) > 0 {
		if a.err = nil; a.at < a.edits[len(a.edits)-1].end {
			a.err = fmt.Errorf("the text ends after %d octets: %w", a.at, io.ErrUnexpectedEOF)
		}
	}
	return a.buf[:got]
}
