package dkim

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/message"
)

// header is the header of a message, octet for octet.
type header struct {
	raw    []byte
	fields []message.Field
	named  map[string][]int // by name in lower case: the fields, from the top
}

// header reads the header, or no more than its octets where it is known.
func (v Verifier) header(r *bufio.Reader) (*header, error) {
	known := v.Header
	if known == nil || known.End > maxHeader || len(known.Fields) > maxFields {
		return readHeader(r)
	}
	h := &header{raw: make([]byte, known.End)}
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
	h.fields, h.named = m.Fields, make(map[string][]int, len(m.Fields))
	for i, f := range h.fields {
		name := addr.Fold(f.Name)
		h.named[name] = append(h.named[name], i)
	}
}

// readHeader reads up to the blank line, behind which r stands then.
func readHeader(r *bufio.Reader) (*header, error) {
	h := &header{}
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
	used := map[string]int{}
	for _, name := range names {
		key := addr.Fold(name)
		list := h.named[key]
		n := len(list) - 1 - used[key]
		if n >= 0 && list[n] == self {
			used[key]++
			n--
		}
		if n < 0 {
			continue
		}
		used[key]++
		out = append(c.field(out, h.fields[list[n]].Name, h.field(list[n])), "\r\n"...)
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
	out = append(append(out, strings.ToLower(name)...), ':')
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
