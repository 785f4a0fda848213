package message

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// MaxName is how long a field's name may be, in octets, with the blanks of
// obsolete syntax behind it: no line is longer (RFC 5322 2.1.1).
const MaxName = 998

// CutField takes the first line of "Name: value" apart. This is what a header
// field is (RFC 5322 2.2) to everybody here who judges, changes or stores one:
// where two of them differed, one could be shown a field that another does not
// see. Blanks before the colon are obsolete syntax (RFC 5322 4.5). Of a long
// line MaxName+1 octets are enough to know.
func CutField(line []byte) (name string, value []byte, ok bool) {
	i := bytes.IndexByte(line[:min(len(line), MaxName+1)], ':')
	if i <= 0 {
		return "", nil, false
	}
	n := bytes.TrimRight(line[:i], " \t")
	for _, c := range n {
		if c <= ' ' || c >= 0x7f {
			return "", nil, false
		}
	}
	return string(n), line[i+1:], len(n) > 0
}

// IsBlank reports whether line, with its end or without, is the blank line
// that ends a header.
func IsBlank(line []byte) bool {
	return len(bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))) == 0
}

// isMailboxLine reports whether line is what mbox files and UUCP put above a
// header: "From a@b date", or with > before it at each further host (RFC 976 2.4).
// With nothing behind it, it may be the name of a field whose colon is on the next
// line.
func isMailboxLine(line []byte) bool {
	who, ok := bytes.CutPrefix(bytes.TrimPrefix(line, []byte(">")), []byte("From "))
	return ok && len(bytes.TrimSpace(who)) > 0
}

const (
	mailboxField    = "X-Mailbox-Line: "
	maxMailboxLines = 1000 // which become fields; no real mail has a tenth of them
)

// Lead finds out what must stand before the first lines of a message so that
// they can stand below fields that are put above them: each line of a run of
// mbox lines becomes a field, so that the header below it stays the header, and
// what is neither field nor blank line gets the blank line that it lacks.
// The zero value is ready.
type Lead struct{ lines int }

// Before returns what must stand before the next line, and whether it must be
// asked about the line behind that too. Of a long line MaxName+1 octets are
// enough.
func (l *Lead) Before(line []byte) (text string, more bool) {
	_, _, isField := CutField(line)
	switch {
	case isField || IsBlank(line):
		return "", false
	case isMailboxLine(line) && l.lines < maxMailboxLines:
		l.lines++
		return mailboxField, true
	case l.lines > 0 && (line[0] == ' ' || line[0] == '\t'):
		return "", true // it goes on
	}
	return "\n", false
}

// Leading returns the edits that Lead asks for at the top of the size octets of
// from, in order, and whether a header is there: without one, all that is below
// the edits, however long, is body.
func Leading(from io.ReaderAt, size int64) (edits []Edit, header bool, err error) {
	r := bufio.NewReaderSize(io.NewSectionReader(from, 0, size), MaxName+1)
	var l Lead
	for at, more := int64(0), true; more; {
		line, err := r.ReadSlice('\n')
		if err != nil && err != io.EOF && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, false, fmt.Errorf("read the message: %w", err)
		}
		var text string
		if text, more = l.Before(line); text != "" {
			edits = append(edits, Edit{Start: at, End: at, Text: text})
		}
		header = text != "\n"
		for at += int64(len(line)); more && errors.Is(err, bufio.ErrBufferFull); at += int64(len(line)) {
			line, err = r.ReadSlice('\n')
		}
	}
	return edits, header, nil
}
