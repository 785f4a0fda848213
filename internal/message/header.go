// Package message parses the header of a message without changing an octet: where each
// field is and what it says. It accepts what real mail contains, and reports defects
// instead of refusing them.
package message

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
)

// Errors of Read.
var (
	ErrTooLong = errors.New("the header is too long")
	ErrTooMany = errors.New("the header has too many fields")
)

// Field is a header field.
type Field struct {
	Name  string
	Value string // unfolded: without line ends and outer blanks (RFC 5322 2.2.3)
	Start int64  // offset of its first octet
	End   int64  // offset after its last line end
}

// Header is the header of a message.
type Header struct {
	Fields []Field
	End    int64 // offset after its last line: of the blank line, if there is one
	Junk   int   // lines that are neither a field nor the continuation of one
	NUL    bool  // it has a NUL
	CR     bool  // it has a CR without LF
	Blank  bool  // a blank line ends it
	CRLF   bool  // its first line ends in CRLF; messages in the spool have LF
}

// Read parses the header at the start of r: up to the blank line, or to the end of a
// message without one. ErrTooLong and ErrTooMany say that it has more than maxBytes
// octets or maxFields fields; with them, and with errors of r, Read returns what it has
// parsed so far.
//
// A line that is not a field does not end the header: programs differ about that, and a
// field that one of them may see after such a line must not be missed. For the same
// reason a name whose colon is on a continuation line begins a field, as it does for
// programs that unfold first.
func Read(r io.Reader, maxBytes int64, maxFields int) (*Header, error) {
	in := Buffered(r)
	defer Done(in)
	b := builders.Get().(*builder)
	defer b.done()
	b.maxFields, b.Fields = maxFields, make([]Field, 0, 16)
	s := scanner{r: in, left: maxBytes}
	for {
		line, err := s.line()
		if err == nil {
			err = b.take(line)
		}
		switch {
		case err == io.EOF, err == nil && b.Blank:
			return b.finish(), nil
		case err != nil:
			return b.finish(), err
		}
	}
}

// builder makes a Header from its lines.
type builder struct {
	Header
	maxFields int
	text      []byte // the names and values of the fields, one behind the other
	spans     []span // where they are in it
	bare      []byte // a name whose colon may be on the next line, or nil
	bareStart int64  // offset of its first octet
}

// builders are for the next header.
var builders = sync.Pool{New: func() any { return &builder{} }}

// keptText is how much room for text is kept; hardly any header has more.
const keptText = 64 << 10

func (b *builder) done() {
	if cap(b.text) <= keptText {
		*b = builder{text: b.text[:0], spans: b.spans[:0]}
		builders.Put(b)
	}
}

// span is where a name and a value begin. The value ends where the next name begins.
type span struct{ name, value int }

// take adds a line, including its end.
func (b *builder) take(line []byte) error {
	text, crlf := bytes.CutSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
	if len(text) == 0 {
		b.Blank = true
		return nil
	}
	b.CRLF = b.CRLF || crlf && b.End == 0
	start, end := b.End, b.End+int64(len(line))
	folds := text[0] == ' ' || text[0] == '\t'
	name, rest, isField := cutField(text)
	if isField = isField && !folds; !isField && folds {
		name, rest, isField = b.unfold(text)
		if isField {
			start = b.bareStart
		}
	}
	last := len(b.Fields) - 1
	switch {
	case isField && last+1 == b.maxFields:
		return ErrTooMany
	case isField:
		if last >= 0 {
			b.Fields[last].End = start
		}
		b.Fields = append(b.Fields, Field{Start: start, End: end})
		b.spans = append(b.spans, span{len(b.text), len(b.text) + len(name)})
		b.text = append(append(b.text, name...), rest...)
		b.bare = nil
	case folds && last >= 0:
		b.Fields[last].End = end
		b.text = append(b.text, text...)
	default:
		b.junk(text, start, end)
	}
	b.End = end
	b.NUL = b.NUL || bytes.IndexByte(line, 0) >= 0
	b.CR = b.CR || bytes.IndexByte(text, '\r') >= 0
	return nil
}

// junk adds a line that is not a field. It belongs to the field before it, so that
// dropping a field leaves nothing of it.
func (b *builder) junk(text []byte, start, end int64) {
	b.Junk++
	if n := len(b.Fields); n > 0 {
		b.Fields[n-1].End = end
	}
	b.bare = nil
	if _, _, name := cutField(append(text[:len(text):len(text)], ':')); name {
		b.bare, b.bareStart = bytes.Clone(text), start
	}
}

// unfold adds a line that begins with a blank to a bare name, and reports whether that
// makes a field. Lines of blanks may come between the two.
func (b *builder) unfold(text []byte) (name, rest []byte, isField bool) {
	if b.bare == nil || len(b.bare) > maxName {
		return nil, nil, false
	}
	b.bare = append(b.bare, text...)
	if name, rest, isField = cutField(b.bare); isField {
		b.Junk--
	} else if len(bytes.Trim(text, " \t")) > 0 {
		b.bare = nil
	}
	return name, rest, isField
}

// finish returns the header, with the names and values of its fields in one string.
func (b *builder) finish() *Header {
	h := b.Header
	text := string(b.text)
	for i, s := range b.spans {
		end := len(text)
		if i+1 < len(b.spans) {
			end = b.spans[i+1].name
		}
		h.Fields[i].Name, h.Fields[i].Value = text[s.name:s.value], strings.Trim(text[s.value:end], " \t")
	}
	return &h
}

// scanner reads lines of any length, up to left octets in all.
type scanner struct {
	r    *bufio.Reader
	left int64
	long []byte
}

// line returns the next line including its end, which the last one may lack. It is valid
// until the next call.
func (s *scanner) line() ([]byte, error) {
	s.long = s.long[:0]
	for {
		part, err := s.r.ReadSlice('\n')
		if s.left -= int64(len(part)); s.left < 0 {
			return nil, ErrTooLong
		}
		switch {
		case err == nil && len(s.long) == 0:
			return part, nil
		case err == nil:
			return append(s.long, part...), nil
		case errors.Is(err, bufio.ErrBufferFull):
			s.long = append(s.long, part...)
		case err == io.EOF && len(s.long)+len(part) > 0:
			return append(s.long, part...), nil
		default:
			return nil, err
		}
	}
}

// All returns the fields with that name, whatever its case.
func (h *Header) All(name string) []Field {
	var list []Field
	for _, f := range h.Fields {
		if strings.EqualFold(f.Name, name) {
			list = append(list, f)
		}
	}
	return list
}

// Count returns how many fields have that name.
func (h *Header) Count(name string) (n int) {
	for _, f := range h.Fields {
		if strings.EqualFold(f.Name, name) {
			n++
		}
	}
	return n
}

// Has reports whether there is a field with that name.
func (h *Header) Has(name string) bool {
	_, ok := h.First(name)
	return ok
}

// Value returns the value of the first field with that name, or "".
func (h *Header) Value(name string) string {
	value, _ := h.First(name)
	return value
}

// First returns the value of the first field with that name, and whether there is one.
func (h *Header) First(name string) (value string, ok bool) {
	for i := range h.Fields {
		if strings.EqualFold(h.Fields[i].Name, name) {
			return h.Fields[i].Value, true
		}
	}
	return "", false
}
