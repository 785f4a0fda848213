package relay

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"paperpath/internal/dkim"
	"paperpath/internal/maillog"
	"paperpath/internal/sevenbit"
	"paperpath/internal/spool"
)

// Message is what is to be sent: the text with LF line ends, and its envelope.
type Message struct {
	Key     string // of the entry, for the log
	With    string // the protocol that it came by
	From    spool.Path
	To      []spool.Recipient
	Content *io.SectionReader
	Results *io.SectionReader // for LMTP hosts and programs: our result fields, then Content; nil: Content
	Asked   time.Time         // when a person asked for an attempt; zero: nobody did
	Ours    bool              // whoever sent it may send as our users do, so it may be signed

	// Done is called as soon as a host has accepted the message for these
	// recipients.
	Done func(taken []int, by maillog.Remote, reply string)

	shape  shape
	wire   []byte // a small text as it is sent; nil: it is read again for each use
	said   *facts // of the header; nil: it was not read yet
	masked string // the reverse path that stands for From elsewhere; "": there is none

	// sign returns the signatures that go in front of a text. nil: there are none.
	sign func(text io.Reader) (dkim.Signed, error)

	mu    sync.Mutex
	noDSN map[int]answer // recipients at hosts that send no reports of success
	taken map[int]bool   // recipients for whom a host has the message
	forms map[form]*rendering
}

// answer is the last reply of a host.
type answer struct{ host, reply string }

// accepted notes that a host has taken the message for these recipients. It is the only
// way in which a recipient becomes done.
func (m *Message) accepted(taken []int, by maillog.Remote, reply string) {
	m.mu.Lock()
	if m.taken == nil {
		m.taken = map[int]bool{}
	}
	for _, i := range taken {
		m.taken[i] = true
	}
	m.mu.Unlock()
	m.Done(taken, by, reply)
}

// noteNoDSN notes that a host accepted the message for these recipients and will not
// report their delivery to the sender (RFC 3461 5.2.2).
func (m *Message) noteNoDSN(taken []int, a answer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.noDSN == nil {
		m.noDSN = map[int]answer{}
	}
	for _, i := range taken {
		m.noDSN[i] = a
	}
}

// shape is what the text requires of a host.
type shape struct {
	octets     int64 // with CRLF line ends
	utf8Header bool  // its header has octets beyond ASCII
	eightBit   bool  // its body has
	long       bool  // it has a line of more than 998 octets
	signed     bool  // it is signed by DKIM or ARC
}

// measure reads the text once. What it has in memory then is what is sent.
func (m *Message) measure() error {
	m.shape, m.wire = shape{signed: m.facts().signed}, nil
	c := m.cleaned()
	s := surveyor{shape: &m.shape, header: true}
	buf := make([]byte, min(m.Content.Size()+m.Content.Size()/8+2, pieceSize))
	for whole := true; ; whole = false {
		n, err := io.ReadFull(c, buf)
		s.take(buf[:n])
		switch {
		case err == nil:
		case !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
			return fmt.Errorf("read the message: %w", err)
		default:
			if whole {
				m.wire = buf[:n]
			}
			return nil
		}
	}
}

// surveyor finds out the shape of a text with CRLF line ends.
type surveyor struct {
	*shape
	header bool
	line   int // octets of the line so far
}

// take reads a piece.
func (s *surveyor) take(p []byte) {
	s.octets += int64(len(p))
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n') + 1
		part := p[:end]
		if end == 0 {
			part = p
		}
		p = p[len(part):]
		if !isASCII(part) {
			s.utf8Header, s.eightBit = s.utf8Header || s.header, s.eightBit || !s.header
		}
		s.line += len(part)
		if end > 0 { // no CR is in a line but the one at its end
			s.line -= 2
			s.long = s.long || s.line > sevenbit.MaxLine
			s.header, s.line = s.header && s.line > 0, 0
		}
	}
}

func isASCII(p []byte) bool {
	for ; len(p) >= 8; p = p[8:] {
		if binary.NativeEndian.Uint64(p)&0x8080808080808080 != 0 {
			return false
		}
	}
	for _, b := range p {
		if b >= 0x80 {
			return false
		}
	}
	return true
}

// cleaned opens the text as it is, with line ends for the wire.
func (m *Message) cleaned() io.Reader {
	if m.wire != nil {
		return bytes.NewReader(m.wire)
	}
	size := m.Content.Size()
	return newCleaner(io.NewSectionReader(m.Content, 0, size), size)
}

// newCleaner returns a cleaner of r, which has want octets.
func newCleaner(r io.Reader, want int64) *cleaner {
	return &cleaner{r: r, want: want, buf: make([]byte, min(want+1, pieceSize))}
}

// pieceSize is how many octets of a text are read at once.
const pieceSize = 32 << 10

// needsUTF8 reports whether the message itself needs SMTPUTF8: that was requested, and
// the header uses it (RFC 6531 3.2).
func (m *Message) needsUTF8() bool {
	return strings.HasPrefix(m.With, "UTF8") && m.shape.utf8Header
}

// cleaner turns LF and CRLF line ends into CRLF and a stray CR into a blank, since a bare
// CR must not be sent (RFC 5321 2.3.8). A last line without an end gets one. A text that
// is too short because its file was truncated is an error, not the end.
type cleaner struct {
	r    io.Reader
	want int64 // octets expected; 0 is not checked
	got  int64
	buf  []byte // where it is read to
	in   []byte // read, but not returned yet
	cr   bool   // the last octet was a CR that is not returned yet
	lf   bool   // an LF is due: its CR has been returned
	last byte   // that was read
	err  error
}

// Read implements io.Reader.
func (c *cleaner) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if c.lf {
			p[n], c.lf = '\n', false
			n++
			continue
		}
		if len(c.in) == 0 {
			if n > 0 || !c.fill() {
				break
			}
			continue
		}
		n += c.octet(p[n:])
	}
	if n == 0 && len(p) > 0 {
		return 0, c.err
	}
	return n, nil
}

// octet returns what the next octet becomes.
func (c *cleaner) octet(p []byte) int {
	b := c.in[0]
	switch {
	case b == '\n':
		c.in, c.cr, c.lf = c.in[1:], false, true
		p[0] = '\r'
	case c.cr: // it was a stray CR
		c.cr = false
		p[0] = ' '
	case b == '\r':
		c.in, c.cr = c.in[1:], true
		return 0
	default:
		i := bytes.IndexByte(c.in, '\n')
		if i < 0 {
			i = len(c.in)
		}
		if cr := bytes.IndexByte(c.in[:i], '\r'); cr >= 0 {
			i = cr
		}
		i = copy(p, c.in[:i])
		c.in = c.in[i:]
		return i
	}
	return 1
}

// fill reads more; it returns false at the end.
func (c *cleaner) fill() bool {
	if c.err != nil {
		return false
	}
	n, err := c.r.Read(c.buf)
	c.in, c.got = c.buf[:n], c.got+int64(n)
	if n > 0 {
		c.last = c.buf[n-1]
	}
	if err == nil {
		return true
	}
	c.err = err
	if errors.Is(err, io.EOF) && c.got < c.want {
		c.err = fmt.Errorf("the file ends after %d of %d octets", c.got, c.want)
	}
	if errors.Is(err, io.EOF) && c.got > 0 && c.last != '\n' {
		c.in = append(c.in, c.end()...)
	}
	return len(c.in) > 0
}

// end is what ends the last line; a stray CR before it becomes a blank.
func (c *cleaner) end() string {
	switch {
	case c.last != '\r':
		return "\n"
	case len(c.in) > 0:
		c.in[len(c.in)-1] = ' '
		return "\n"
	}
	c.cr = false
	return " \n"
}
