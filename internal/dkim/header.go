package dkim

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"paperpath/internal/addr"
	"paperpath/internal/message"
)

// header is the header of a message, octet for octet.
type header struct {
	raw    []byte
	fields []message.Field
	bottom map[string]int32 // by name in lower case: its last field
	above  []int32          // by field: the one of that name above it, or -1

	next []int32 // for appendSigned
	text []byte  // for verifyHeader
	bare []byte  // the same
}

// headers are for the next message.
var headers = sync.Pool{New: func() any { return &header{bottom: map[string]int32{}} }}

// What a header that is kept may have: hardly any has more.
const (
	keptOctets = 64 << 10
	keptFields = 200
)

// newHeader returns one whose done gives it back.
func newHeader() *header { return headers.Get().(*header) }

func (h *header) done() {
	if max(cap(h.raw), cap(h.text), cap(h.bare)) > keptOctets || len(h.fields) > keptFields {
		return
	}
	h.raw, h.text, h.fields = h.raw[:0], h.text[:0], nil
	clear(h.bottom)
	headers.Put(h)
}

// header reads the header, or no more than its octets where it is known.
func (v Verifier) header(r *bufio.Reader) (*header, error) {
	known := v.Header
	if known == nil || known.End > maxHeader || len(known.Fields) > maxFields {
		return readHeader(r)
	}
	h := newHeader()
	h.raw = slices.Grow(h.raw, int(known.End))[:known.End]
	if _, err := io.ReadFull(r, h.raw); err != nil {
		return nil, fmt.Errorf("read the message: %w", err)
	}
	if known.Blank {
		if _, err := r.ReadSlice('\n'); err != nil && err != io.EOF {
			return nil, fmt.Errorf("read the message: %w", err)
		}
	}
	h.index(known)
	return h, nil
}

// index notes where the fields are.
func (h *header) index(m *message.Header) {
	h.fields, h.above = m.Fields, h.above[:0]
	for i, f := range h.fields {
		above, ok := h.last(f.Name)
		if !ok {
			above = -1
		}
		h.above = append(h.above, above)
		h.bottom[addr.Fold(f.Name)] = int32(i)
	}
}

// last returns the last field of a name.
func (h *header) last(name string) (field int32, ok bool) {
	var buf [64]byte
	field, ok = h.bottom[string(appendLower(buf[:0], name))]
	return field, ok
}

// all returns the fields of a name, from the top.
func (h *header) all(name string) (list []int) {
	for i, f := range h.fields {
		if strings.EqualFold(f.Name, name) {
			list = append(list, i)
		}
	}
	return list
}

func appendLower(out []byte, s string) []byte {
	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		out = append(out, c)
	}
	return out
}

// readHeader reads up to the blank line, behind which r stands then.
func readHeader(r *bufio.Reader) (*header, error) {
	h := newHeader()
	for start := true; ; {
		part, err := r.ReadSlice('\n')
		ends := err == nil
		if errors.Is(err, io.EOF) && len(part) > 0 || errors.Is(err, bufio.ErrBufferFull) {
			err = nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("read the message: %w", err)
		}
		if err != nil || start && message.IsBlank(part) && ends {
			break
		}
		if h.raw, start = append(h.raw, part...), ends; len(h.raw) > maxHeader {
			return nil, message.ErrTooLong
		}
	}
	m, err := message.Read(bytes.NewReader(h.raw), maxHeader, maxFields)
	if err != nil {
		return nil, err
	}
	h.index(m)
	return h, nil
}

// field returns the octets of a field without its last line end.
func (h *header) field(i int) []byte {
	f := h.fields[i]
	return bytes.TrimSuffix(bytes.TrimSuffix(h.raw[f.Start:f.End], []byte("\n")), []byte("\r"))
}

// value returns the octets of a field's body.
func (h *header) value(i int) []byte {
	_, value, _ := bytes.Cut(h.field(i), []byte(":"))
	return value
}

// appendSigned appends the canonical forms of the fields that names lists, each with its
// line end: for each time that a name is listed the next field of that name from the
// bottom up, and nothing when there is none left (RFC 6376 5.4.2). The field self is
// never one of them.
func (h *header) appendSigned(out []byte, c canonical, names []string, self int) []byte {
	h.next = h.next[:0] // by the last field of a name: the one whose turn it is
	for i := range h.fields {
		h.next = append(h.next, int32(i))
	}
	for _, name := range names {
		last, ok := h.last(name)
		if !ok {
			continue
		}
		at := int(h.next[last])
		if at >= 0 && at == self {
			at = int(h.above[at])
		}
		h.next[last] = -1
		if at < 0 {
			continue
		}
		h.next[last] = h.above[at]
		out = append(c.field(out, h.fields[at].Name, h.field(at)), "\r\n"...)
	}
	return out
}

// canonical is one of the two forms in which headers and bodies are hashed.
type canonical string

const (
	simple  canonical = "simple"
	relaxed canonical = "relaxed"
)

// field appends the canonical form of a field (RFC 6376 3.4.1, 3.4.2), without its line
// end.
func (c canonical) field(out []byte, name string, raw []byte) []byte {
	if c == simple {
		return appendCRLF(out, raw)
	}
	out = append(appendLower(out, name), ':')
	_, value, _ := bytes.Cut(raw, []byte(":"))
	return appendUnfolded(out, value)
}

// appendCRLF appends text with all its line ends as CRLF.
func appendCRLF(out, text []byte) []byte {
	for {
		i := bytes.IndexByte(text, '\n')
		if i < 0 {
			return append(out, text...)
		}
		out = append(out, bytes.TrimSuffix(text[:i], []byte("\r"))...)
		out = append(out, "\r\n"...)
		text = text[i+1:]
	}
}

// appendUnfolded appends a field body on one line, with a blank for each run of blanks
// and none at the ends.
func appendUnfolded(out, value []byte) []byte {
	from, blank := len(out), false
	for i := 0; i < len(value); i++ {
		b := value[i]
		crlf := b == '\r' && i+1 < len(value) && value[i+1] == '\n'
		switch {
		case b == ' ' || b == '\t':
			blank = true
			continue
		case crlf:
			continue // the LF decides
		case b == '\n' && i+1 < len(value) && (value[i+1] == ' ' || value[i+1] == '\t'):
			continue
		}
		if blank && len(out) > from {
			out = append(out, ' ')
		}
		if blank = false; b == '\n' { // a line that is no field
			out = append(out, '\r')
		}
		out = append(out, b)
	}
	return out
}
