package sevenbit

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// Scan finds out what has to change in a text with CRLF line ends. The error is a
// *Refusal if the text cannot have the form, else one of reading.
func Scan(text io.Reader, o Options) (*Plan, error) {
	s := &scanner{o: o, plan: &Plan{}, parts: 1, head: &head{message: true, top: true}}
	in := bufio.NewReaderSize(text, 16<<10)
	start := true
	for {
		piece, err := in.ReadSlice('\n')
		end := errors.Is(err, io.EOF)
		if err != nil && !end && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
		whole := err == nil || end
		if len(piece) > 0 {
			s.piece(piece, start, whole)
		}
		if start = whole; end || s.refused != nil {
			break
		}
	}
	if s.refused == nil {
		s.finish()
	}
	return s.plan, s.refused
}

// scanner goes through the lines of a text. At any time it is in a header (head) or in a
// body (part), inside some multiparts.
type scanner struct {
	o       Options
	plan    *Plan
	levels  []level
	depth   int // of multiparts and messages around here
	at      int64
	parts   int
	head    *head // being read, or nil
	part    *part // if head is nil
	refused error
}

// level is a multipart that is open.
type level struct {
	delimiter string // with its two hyphens
	digest    bool   // its parts are messages if they do not say otherwise
	depth     int    // around its parts
}

// piece takes a line, or a piece of one that is very long.
func (s *scanner) piece(p []byte, start, whole bool) {
	next := s.at + int64(len(p))
	i, last := -1, false
	if start && whole {
		i, last = s.delimiter(p)
	}
	switch {
	case i >= 0:
		s.pass(p)
		s.border(i, last, next)
	case s.head == nil:
		s.note(p)
	case start && whole && len(bytes.TrimRight(p, "\r\n")) == 0:
		s.begin(next)
	default:
		s.header(p)
	}
	s.at = next
}

// header takes octets of a header.
func (s *scanner) header(p []byte) {
	s.head.text = append(s.head.text, p...)
	if text := s.head.text; len(text) > maxHeader {
		s.part = &part{keep: "has a header that is too long", start: s.head.at}
		s.head = nil
		s.note(text)
	}
}

// note takes octets of a body.
func (s *scanner) note(p []byte) {
	s.part.note(p)
	if s.part.eight && s.part.keep != "" {
		s.refuse("it has octets beyond ASCII in a part that " + s.part.keep)
	}
}

// pass takes lines between the bodies, which no encoding can change.
func (s *scanner) pass(p []byte) {
	if hasEight(p) {
		s.refuse("it has octets beyond ASCII in the header of a part")
	}
}

func (s *scanner) refuse(why string) {
	if s.o.Seven && s.refused == nil {
		s.refused = &Refusal{why}
	}
}

// delimiter returns the multipart whose delimiter a line is, or -1, and whether it is
// the last one (RFC 2046 5.1.1).
func (s *scanner) delimiter(line []byte) (index int, last bool) {
	if len(s.levels) == 0 || !bytes.HasPrefix(line, []byte("--")) {
		return -1, false
	}
	text := string(bytes.TrimRight(line, " \t\r\n"))
	for i := len(s.levels) - 1; i >= 0; i-- {
		if d := s.levels[i].delimiter; text == d || text == d+"--" {
			return i, text != d
		}
	}
	return -1, false
}

// border ends the part before a delimiter, and begins what is behind it at next.
func (s *scanner) border(i int, last bool, next int64) {
	for s.head != nil { // it has no body
		s.begin(s.at)
	}
	s.end(max(s.part.start, s.at-int64(len("\r\n"))), false, i == len(s.levels)-1)
	l := s.levels[i]
	s.depth = l.depth
	if last {
		s.levels = s.levels[:i]
		s.part = &part{ignored: true, start: next}
		return
	}
	s.levels = s.levels[:i+1]
	if s.parts++; s.parts > maxParts {
		s.levels = nil
		s.part = &part{keep: "comes behind too many others", start: next}
		return
	}
	s.part, s.head = nil, &head{digest: l.digest, at: next}
}

// finish ends what is open at the end of the text.
func (s *scanner) finish() {
	for s.head != nil {
		s.begin(s.at)
	}
	s.end(s.at, true, false)
}

// begin begins the body that belongs to the header read so far.
func (s *scanner) begin(body int64) {
	h := s.head
	s.head = nil
	h.parse()
	if !h.top {
		s.pass(h.text)
	}
	switch {
	case h.keep == "" && h.container() && s.depth == maxDepth:
		h.keep = "is nested too deeply"
	case h.boundary != "" && s.clashes("--"+h.boundary):
		h.keep = "has the boundary of a multipart around it"
	}
	if h.keep != "" {
		s.part = &part{keep: h.keep, start: body}
		return
	}
	switch {
	case h.boundary != "":
		s.depth++
		s.levels = append(s.levels, level{"--" + h.boundary, h.mediaType == "multipart/digest", s.depth})
		s.part = &part{ignored: true, preamble: true, start: body}
	case h.container():
		s.depth++
		s.head = &head{message: true, at: body}
	default:
		s.part = &part{head: h, start: body}
		return
	}
	s.plan.edits = append(s.plan.edits, h.edits(h.relabelled(s.o), "", s.o.Fold)...)
}

// clashes reports whether a delimiter could be taken for one around it.
func (s *scanner) clashes(delimiter string) bool {
	for _, l := range s.levels {
		if d := l.delimiter; d == delimiter || d == delimiter+"--" || d+"--" == delimiter {
			return true
		}
	}
	return false
}

// end ends a part. last says that the text ends here, inner that the delimiter behind it
// belongs to the innermost multipart.
func (s *scanner) end(at int64, last, inner bool) {
	if s.part.preamble && !inner && s.part.eight {
		s.refuse("it has octets beyond ASCII in a multipart without parts")
		return
	}
	s.plan.edits = append(s.plan.edits, s.part.edits(s.o, at, last)...)
}
