// Package parts finds the parts of a MIME message, what types they say they have and what
// names: under every reading that some mail reader may have of them, since a file that a
// check does not see is no less dangerous (RFC 2045, 2046, 2183 and 2231). It decodes no
// part, never changes an octet, and keeps none.
//
// Two look at a message at once. A scanner of our own reads its lines: each line that
// begins with a boundary which any header above it may have declared starts a part. What
// makes the structure, boundaries and the fields that count, goes on to go-message, which
// says how the parts nest. So the work is bounded, whatever the size of the message.
package parts

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	gomessage "github.com/emersion/go-message"

	"paperpath/internal/message"
)

// Limits bound the structure of a message.
type Limits struct {
	Depth  int   // of parts within parts
	Parts  int   // in all
	Header int64 // octets of the fields that describe a part
}

// headers is how many times the longest header all headers of parts may have together,
// the fields alone that are read.
const headers = 8

// work bounds the octets that go-message reads, each counted once for every level that it
// passes through: reading costs as much.
const work = 256 << 20

// Errors of limits.
var (
	ErrDepth  = errors.New("parts are nested too deeply")
	ErrParts  = errors.New("there are too many parts")
	ErrHeader = errors.New("the headers of the parts are too long")
	ErrWork   = errors.New("the parts are too many for how deeply they are nested")
)

// Part is one part, the whole message among them.
type Part struct {
	Types []string // in lower case; several where readers may differ
	Names []string // of a file, as they are written or decoded
}

// Structure is what a message turns out to be.
type Structure struct {
	Parts int   // beside the message itself
	Depth int   // of parts within parts; 0: the message has none
	Limit error // the limit that it exceeds; it was not read further
	Odd   error // why go-message could not read it as it is; nil: it could
}

// MayContain reports whether a part with these types may have others in it. Where it is
// false for a message, only its text is left to look at, for uuencoded files.
func (p Part) MayContain() bool {
	return slices.ContainsFunc(p.Types, func(t string) bool { return isMultipart(t) || isMessage(t) })
}

func isMultipart(kind string) bool { return strings.HasPrefix(kind, "multipart") }

// Of describes the part with this header.
func Of(h *message.Header) Part {
	p, _ := describe(h)
	return p
}

// plainType returns the type of a Content-Type that all readers take alike: `type/subtype`,
// perhaps with one parameter. Others have to be looked at more closely.
func plainType(value string) (kind string, ok bool) {
	kind, parameter, more := strings.Cut(value, ";")
	kind = strings.Trim(kind, " \t")
	top, sub, slash := strings.Cut(kind, "/")
	if !slash || !isToken(top) || !isToken(sub) {
		return "", false
	}
	if more {
		name, text, is := strings.Cut(strings.Trim(parameter, " \t"), "=")
		if strings.HasPrefix(text, `"`) && strings.HasSuffix(text[1:], `"`) {
			text = text[1 : len(text)-1]
		}
		if !is || !isToken(name) || !isToken(text) {
			return "", false
		}
	}
	return strings.ToLower(kind), true
}

// isToken reports whether s is made of letters, digits and signs that mean nothing anywhere.
func isToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && strings.IndexByte("-._+", c) < 0 {
			return false
		}
	}
	return s != ""
}

// Alone returns the structure of a message whose header says that it is one part and no more,
// and whether it does. Its text may still have uuencoded files.
func Alone(h *message.Header) (Structure, bool) {
	value, typed := h.First("Content-Type")
	if kind, plain := plainType(value); !typed || plain && h.Count("Content-Type") == 1 {
		return Structure{}, !typed || !isMultipart(kind) && !isMessage(kind)
	}
	if Of(h).MayContain() {
		return Structure{}, false
	}
	var same gomessage.Header // as go-message finds it: the first one
	same.Set("Content-Type", h.Value("Content-Type"))
	_, _, err := same.ContentType()
	return Structure{Odd: err}, true
}

// Read reads the message r to its end, of about size octets, and shows each part to see.
// The error is one of r.
func Read(r io.Reader, size int64, l Limits, see func(Part)) (Structure, error) {
	s := newScanner(r, size, l, see)
	t := tree{scan: s, limits: l}
	t.read()
	if t.limit == nil {
		s.drain()
	}
	st := Structure{Parts: s.parts, Depth: t.deepest, Odd: t.odd, Limit: s.limit}
	if st.Limit == nil {
		st.Limit = t.limit
	}
	if s.err != nil {
		return st, fmt.Errorf("read the message: %w", s.err)
	}
	return st, nil
}
