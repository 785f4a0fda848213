package message

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// maxName bounds the name of a field, in octets, including the blanks that obsolete
// syntax allows after it: no line is longer (RFC 5322 2.1.1).
const maxName = 998

// CutField splits the first line of "Name: value". It defines what a header field is (RFC
// 5322 2.2) for all code that checks, changes or stores one: if two parts differed, one
// would see a field that the other does not. Blanks before the colon are obsolete
// syntax (RFC 5322 4.5). The first maxName+1 octets of a line decide.
func CutField(line []byte) (name string, value []byte, ok bool) {
	n, value, ok := cutField(line)
	return string(n), value, ok
}

// cutField is CutField without a copy of the name.
func cutField(line []byte) (name, value []byte, ok bool) {
	i := bytes.IndexByte(line[:min(len(line), maxName+1)], ':')
	if i <= 0 {
		return nil, nil, false
	}
	name = bytes.TrimRight(line[:i], " \t")
	for _, c := range name {
		if c <= ' ' || c >= 0x7f {
			return nil, nil, false
		}
	}
	return name, line[i+1:], len(name) > 0
}

// IsBlank reports whether line, with or without its end, is the blank line that ends a
// header.
func IsBlank(line []byte) bool {
	return len(bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))) == 0
}

// isMailboxLine reports whether line is one that mbox files and UUCP put above a header:
// "From a@b date", or with > before it from every further host (RFC 976 2.4). "From "
// alone may be the name of a field whose colon is on the next line.
func isMailboxLine(line []byte) bool {
	who, ok := bytes.CutPrefix(bytes.TrimPrefix(line, []byte(">")), []byte("From "))
	return ok && len(bytes.TrimSpace(who)) > 0
}

const (
	mailboxField    = "X-Mailbox-Line: "
	maxMailboxLines = 1000 // that become fields; no real mail has a tenth of that
)

// Lead finds out what must be inserted into the first lines of a message so that fields
// can be put above them: each mbox line at the top becomes a field, so that the header
// below stays the header, and if a line follows that is neither a field nor blank, the
// missing blank line is inserted. The zero value is ready.
type Lead struct{ lines int }

// Before returns what must be inserted before the next line, and whether it has to be
// called for the line after that, too. The first maxName+1 octets of a line are enough.
func (l *Lead) Before(line []byte) (text string, more bool) {
	_, _, isField := cutField(line)
	switch {
	case isField || IsBlank(line):
		return "", false
	case isMailboxLine(line) && l.lines < maxMailboxLines:
		l.lines++
		return mailboxField, true
	case l.lines > 0 && (line[0] == ' ' || line[0] == '\t'):
		return "", true // and another may follow
	}
	return "\n", false
}

// Leading returns the edits that Lead demands at the top of the size octets of from, in
// order, and whether there is a header: without one, everything below the edits is body.
func Leading(from io.ReaderAt, size int64) (edits []Edit, header bool, err error) {
	r := Buffered(io.NewSectionReader(from, 0, size))
	defer Done(r)
	var l Lead
	for at, more := int64(0), true; more; {
		line, err := r.ReadSlice('\n')
		if err != nil && err != io.EOF && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, false, fmt.Errorf("read the message: %w", err)
		}
		var text string
		if text, more = l.Before(line[:min(len(line), maxName+1)]); text != "" {
			edits = append(edits, Edit{Start: at, End: at, Text: text})
		}
		header = text != "\n"
		for at += int64(len(line)); more && errors.Is(err, bufio.ErrBufferFull); at += int64(len(line)) {
			line, err = r.ReadSlice('\n')
		}
	}
	return edits, header, nil
}
