package deliver

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/message"
	"paperpath/internal/status"
)

const (
	maxLead     = 100     // envelope fields of the calling mail system
	maxLeadLine = 4096    // octets of one of them
	lineBuffer  = 1 << 16 // octets that are read at a time
	maxKept     = 1 << 20 // octets of mbox lines and envelope fields together
)

// incoming is a message on standard input, with the envelope that the calling mail
// system may have put on top of it.
type incoming struct {
	from addr.Address // of the leading Return-Path
	body io.Reader    // the message as it follows our own two fields
}

// openIncoming reads the envelope at the start of in: a leading Return-Path, and a
// Delivered-To with the same address as ours, to. Other such fields stay where they
// are. Empty input is refused: the calling program has crashed.
func openIncoming(in io.Reader, to addr.Address) (*incoming, error) {
	r := bufio.NewReaderSize(in, lineBuffer)
	if _, err := r.Peek(1); err == io.EOF {
		return nil, status.Refuse("5.6.0", "no message on standard input")
	} else if err != nil {
		return nil, readError(err)
	}
	m := &incoming{}
	kept := m.envelope(r, to)
	m.body = io.MultiReader(bytes.NewReader(kept), r)
	return m, nil
}

// envelope reads the fields of the envelope, and returns what it had to read of the
// message, in the form that can follow our fields. Mail systems may have put mbox
// lines among these fields (RFC 976 2.4).
func (m *incoming) envelope(r *bufio.Reader, to addr.Address) (kept []byte) {
	var lead message.Lead
	hasFrom, headed := false, false
	for n := 0; ; n++ {
		line, whole := leadLine(r)
		whole = whole && n < maxLead
		name, value := field(line)
		switch {
		case whole && name == "return-path" && !hasFrom && m.setReversePath(value):
			hasFrom = true
			continue
		case whole && name == "delivered-to" && isAddress(value, to):
			continue
		case whole && (name == "return-path" || name == "delivered-to" || name == "x-original-to"):
			kept, headed = append(kept, line...), true
			continue
		}
		before, more := lead.Before(line)
		if headed && before == "\n" {
			before = "" // the header has begun
		}
		kept = append(append(kept, before...), line...)
		if !more {
			return kept
		}
		if kept = readLine(r, kept); !bytes.HasSuffix(kept, []byte("\n")) || len(kept) > maxKept {
			return kept
		}
	}
}

// readLine appends the remainder of a line longer than the buffer to kept, as far as
// maxKept allows: more mbox lines may follow.
func readLine(r *bufio.Reader, kept []byte) []byte {
	for !bytes.HasSuffix(kept, []byte("\n")) && len(kept) <= maxKept {
		part, err := r.ReadSlice('\n')
		kept = append(kept, part...)
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			break // the next read returns it again
		}
	}
	return kept
}

func readError(err error) error { return fmt.Errorf("read standard input: %w", err) }

// leadLine returns a copy of the next line, or of as much of it as fits into the
// buffer, and whether it is a whole field: the next line does not continue it.
func leadLine(r *bufio.Reader) (line []byte, whole bool) {
	line, err := r.ReadSlice('\n')
	line = bytes.Clone(line)
	if err != nil || len(line) > maxLeadLine {
		return line, false
	}
	next, _ := r.Peek(1) // the next read returns an error again
	return line, len(next) == 0 || next[0] != ' ' && next[0] != '\t'
}

// field cuts a header field; name is folded, and "" where the line is not a field.
func field(line []byte) (name, value string) {
	n, v, ok := message.CutField(line)
	if !ok {
		return "", ""
	}
	return addr.Fold(n), strings.Trim(strings.TrimRight(string(v), "\r\n"), " \t")
}

// setReversePath reads the value of a Return-Path, with or without angle brackets.
func (m *incoming) setReversePath(value string) bool {
	a, err := ParseFrom(value)
	if err == nil {
		m.from = a
	}
	return err == nil
}

// ParseFrom reads a reverse path: "<a@example.org>", the bare address, or
// nothing or "<>" for the null one.
func ParseFrom(s string) (addr.Address, error) {
	if s == "" {
		return addr.Address{}, nil
	}
	if !strings.HasPrefix(s, "<") {
		return addr.Parse(s)
	}
	a, rest, err := addr.ParsePath(s)
	if err == nil && rest != "" && rest[0] != ' ' {
		err = errors.New("unexpected text after the path")
	}
	return a, err
}

func isAddress(value string, to addr.Address) bool {
	a, err := ParseFrom(value)
	return err == nil && a.Key() == to.Key()
}

// limits are the limits of one message.
type limits struct {
	octets int64
	large  error // for a message that is larger; nil: status.TooLarge
	hops   int   // Received fields
}

// copyTo writes the message with LF line ends, also after the last line. All other
// bytes stay as they are.
func (m *incoming) copyTo(out io.Writer, max limits) error {
	c := copier{r: bufio.NewReaderSize(m.body, lineBuffer), w: bufio.NewWriterSize(out, lineBuffer), max: max}
	for header, start := true, true; ; {
		line, err := c.piece()
		if start && header {
			if header = !message.IsBlank(line); header {
				if err := c.hop(line); err != nil {
					return err
				}
			}
		}
		if err := c.write(line); err != nil {
			return err
		}
		if err == io.EOF {
			return c.end()
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return readError(err)
		}
		start = err == nil
	}
}

type copier struct {
	r    *bufio.Reader
	w    *bufio.Writer
	max  limits
	size int64
	hops int
	last byte
}

// piece returns the next line, or a buffer full of it, with LF for CRLF.
func (c *copier) piece() ([]byte, error) {
	line, err := c.r.ReadSlice('\n')
	if n := len(line); n > 1 && line[n-2] == '\r' && line[n-1] == '\n' {
		line[n-2] = '\n'
		return line[:n-1], err
	} else if errors.Is(err, bufio.ErrBufferFull) && line[n-1] == '\r' {
		c.r.UnreadByte() // its LF may follow
		return line[:n-1], err
	}
	return line, err
}

// hop counts Received fields, the only loop check of the MDA.
func (c *copier) hop(line []byte) error {
	if name, _, _ := message.CutField(line); !strings.EqualFold(name, "Received") {
		return nil
	}
	if c.hops++; c.hops > c.max.hops {
		return status.Refuse("5.4.6", fmt.Sprintf("mail loop: more than %d Received fields", c.max.hops))
	}
	return nil
}

func (c *copier) write(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if c.size += int64(len(p)); c.size > c.max.octets {
		return cmp.Or[error](c.max.large, status.TooLarge(c.max.octets))
	}
	c.last = p[len(p)-1]
	_, err := c.w.Write(p)
	return err
}

func (c *copier) end() error {
	if c.last != '\n' && c.size > 0 {
		if err := c.w.WriteByte('\n'); err != nil {
			return err
		}
	}
	return c.w.Flush()
}
