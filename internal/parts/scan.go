package parts

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"

	"paperpath/internal/message"
)

const (
	lineBuffer = 16 << 10
	// kept is how much of a boundary's line goes on: none is that long.
	kept = longestBoundary + 8
)

// scanner reads the lines of a message. Read returns those that make its structure, as a
// message of its own.
type scanner struct {
	in     *bufio.Reader
	limits Limits
	see    func(Part)

	bounds boundaries
	digest bool // a part without a type may be a message (RFC 2046 5.1.5)

	heading bool   // the lines are those of a header
	header  []byte // the fields of it that count, so far
	keeps   bool   // its last field counts
	left    int64  // octets that the headers of parts may still have
	fresh   bool   // the header follows a boundary
	parts   int
	bounded int  // lines that are boundaries
	inlined int  // files in the text
	again   bool // the line that ended the header comes next
	last    line
	middle  bool // the next chunk is not the beginning of a line

	ready []byte // for Read
	limit error
	err   error // of in
	ended bool
}

func newScanner(r io.Reader, size int64, l Limits, see func(Part)) *scanner {
	return &scanner{in: bufio.NewReaderSize(r, int(min(size+1, lineBuffer))), limits: l, see: see, heading: true,
		left: headers * l.Header}
}

// Read implements io.Reader.
func (s *scanner) Read(p []byte) (int, error) {
	for len(s.ready) == 0 {
		if s.ended {
			return 0, io.EOF
		}
		s.step()
	}
	n := copy(p, s.ready)
	s.ready = s.ready[n:]
	return n, nil
}

// drain reads what go-message has left: it may stop before other readers do.
func (s *scanner) drain() {
	for !s.ended {
		s.ready = s.ready[:0]
		s.step()
	}
}

// line is one line, or a piece of a long one.
type line struct {
	text  []byte // without its end
	start bool   // it begins a line
}

// next reads a line.
func (s *scanner) next() (l line, ok bool) {
	if s.again {
		s.again = false
		return s.last, true
	}
	text, err := s.in.ReadSlice('\n')
	l = line{text: text, start: !s.middle}
	s.middle = errors.Is(err, bufio.ErrBufferFull)
	if err != nil && !s.middle {
		if err != io.EOF {
			s.err = err
		}
		if len(text) == 0 || s.err != nil {
			return l, false
		}
	}
	if !s.middle {
		l.text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
	}
	return l, true
}

// skip passes over the lines of a body that say nothing.
func (s *scanner) skip() {
	for {
		if _, err := s.in.Peek(1); err != nil {
			return
		}
		ahead, _ := s.in.Peek(s.in.Buffered())
		at, found := s.within(ahead)
		_, _ = s.in.Discard(at) // it is there
		if found {
			return
		}
	}
}

// within looks for a line in what is buffered.
func (s *scanner) within(ahead []byte) (at int, found bool) {
	for at < len(ahead) {
		if ahead[at] == '\n' {
			s.middle = false
			at++
			continue
		}
		if c := ahead[at]; !s.middle && (c == '-' || c == 'b' || c == '=') {
			end := bytes.IndexByte(ahead[at:], '\n')
			if end < 0 || c != '-' || s.isBoundary(ahead[at:at+end]) {
				return at, true
			}
		}
		end := bytes.IndexByte(ahead[at:], '\n')
		if s.middle = end < 0; s.middle {
			return len(ahead), false
		}
		at += end + 1
	}
	return at, false
}

// step takes a line.
func (s *scanner) step() {
	if !s.heading && !s.again {
		s.skip()
	}
	l, ok := s.next()
	switch {
	case !ok || s.limit != nil:
		if s.heading && s.limit == nil && s.err == nil {
			s.endHeader()
		}
		s.ended = true
	case s.heading:
		s.inHeader(l)
	case l.start && s.isBoundary(l.text):
		s.begin(l.text)
	case l.start && (bytes.HasPrefix(l.text, []byte("begin")) || bytes.HasPrefix(l.text, []byte("=ybegin "))):
		s.inText(string(l.text[:min(len(l.text), kept)]))
	}
}

func (s *scanner) isBoundary(text []byte) bool {
	if len(s.bounds.sorted) == 0 || !bytes.HasPrefix(text, []byte("--")) {
		return false
	}
	return s.bounds.beginBytes(text[2:min(len(text), kept)])
}

// begin begins a part.
func (s *scanner) begin(text []byte) {
	s.ready = append(append(s.ready, text[:min(len(text), kept)]...), '\n')
	last := bytes.HasSuffix(bytes.TrimRight(text, " \t"), []byte("--")) // for most readers
	s.heading, s.fresh, s.keeps, s.header = true, !last, false, s.header[:0]
	if s.bounded++; s.bounded > 3*s.limits.Parts {
		s.limit = ErrParts
	}
	if !last {
		s.part()
	}
}

// part counts a part.
func (s *scanner) part() {
	if s.parts++; s.parts > s.limits.Parts {
		s.limit = ErrParts
	}
}

// inHeader takes a line of a header.
func (s *scanner) inHeader(l line) {
	switch {
	case l.start && len(l.text) == 0 && !s.middle:
		s.endHeader()
		return
	case l.start && s.isBoundary(l.text):
		s.endHeader()
		s.heading = false
		s.last, s.again = l, true
		return
	}
	if l.start && !folds(l.text) && bytes.IndexByte(l.text[:min(len(l.text), kept)], ':') >= 0 || describes(l.text) {
		s.keeps = l.start && describes(l.text)
	}
	if !s.keeps {
		return
	}
	if l.start && len(s.header) > 0 {
		s.header = append(s.header, '\n')
	}
	s.header = append(s.header, l.text...)
	if int64(len(s.header)) > s.limits.Header {
		s.limit = ErrHeader
	}
}

func folds(text []byte) bool { return len(text) > 0 && (text[0] == ' ' || text[0] == '\t') }

// describing are the names of the fields that describe a part.
var describing = [...]string{"Content-Type", "Content-Disposition"}

// describes reports whether a line begins such a field.
func describes(text []byte) bool {
	for _, name := range describing {
		if len(text) >= len(name) && strings.EqualFold(string(text[:len(name)]), name) {
			return true
		}
	}
	return false
}

// endHeader reads the header of a part. Behind that of a message comes another.
func (s *scanner) endHeader() {
	if s.left -= int64(len(s.header)); s.left < 0 {
		s.limit = ErrHeader
		return
	}
	p := s.describe()
	s.ready = append(s.ready, '\n')
	s.digest = s.digest || slices.Contains(p.Types, "multipart/digest")
	inner := slices.ContainsFunc(p.Types, isMessage) || len(p.Types) == 0 && s.digest && s.fresh
	if inner {
		s.part()
	}
	s.heading, s.fresh, s.keeps, s.header = inner, false, false, s.header[:0]
}

// describe shows the part, and passes the fields on that describe it.
func (s *scanner) describe() (p Part) {
	if len(s.header) == 0 {
		return p
	}
	h, err := message.Read(bytes.NewReader(s.header), int64(len(s.header)), len(s.header))
	if err != nil {
		s.limit = ErrHeader
		return p
	}
	p, bounds := describe(h)
	for _, b := range bounds {
		s.bounds.add(b)
	}
	if len(s.bounds.sorted) > s.limits.Parts {
		s.limit = ErrParts
	}
	for _, name := range describing {
		for _, f := range h.All(name) {
			s.ready = append(s.ready, name+": "+strings.ReplaceAll(f.Value, "\r", " ")+"\n"...)
		}
	}
	if len(p.Types) > 0 || len(p.Names) > 0 {
		s.see(p)
	}
	return p
}

func isMessage(kind string) bool { return strings.HasPrefix(kind, "message/") }

// inText shows a file in the text, which some readers make a part of its own: one in
// uuencode or its form in base64 (POSIX), or in yEnc.
func (s *scanner) inText(text string) {
	words := strings.Fields(text)
	var name string
	is := false
	switch words[0] {
	case "begin", "begin-base64":
		if is = len(words) > 2 && len(words[1]) >= 3 && strings.Trim(words[1], "01234567") == ""; is {
			_, name, _ = strings.Cut(text, words[1])
		}
	case "=ybegin":
		_, name, is = strings.Cut(text, " name=")
	}
	if !is {
		return // sources of programs begin many a line like that
	}
	if s.inlined++; s.inlined > s.limits.Parts {
		s.limit = ErrParts
		return
	}
	s.see(Part{Names: []string{strings.TrimLeft(name, " \t")}})
}
