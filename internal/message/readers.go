package message

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"sync"
)

// ReaderSize is how much of a message a reader of Buffered reads at once.
const ReaderSize = 16 << 10

// readers are for the next message: their buffers are most of what the checks of a small one
// would allocate.
var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, ReaderSize) }}

// Buffered returns a buffered reader of r, which Done takes back. What it held before cannot be
// read.
func Buffered(r io.Reader) *bufio.Reader {
	b := readers.Get().(*bufio.Reader)
	b.Reset(r)
	return b
}

// Done takes a reader of Buffered back. Neither it nor what it showed is used any more.
func Done(b *bufio.Reader) {
	b.Reset(nil)
	readers.Put(b)
}

// MayHave reports whether a header may have a field of that name: it is false where no octets of
// the header, which is short then, spell it. To read the fields costs much more.
func MayHave(r io.Reader, name string) (bool, error) {
	b := Buffered(r)
	defer Done(b)
	text, err := b.Peek(ReaderSize)
	if err != nil && err != io.EOF {
		return false, err
	}
	whole := err == io.EOF
	if end := bytes.Index(text, []byte("\n\n")); end >= 0 {
		text, whole = text[:end], true
	}
	return !whole || spells(text, name), nil
}

// spells reports whether the name is anywhere in text, whatever its case.
func spells(text []byte, name string) bool {
	for ; len(text) >= len(name); text = text[1:] {
		if text[0]|0x20 == name[0]|0x20 && strings.EqualFold(string(text[:len(name)]), name) {
			return true
		}
	}
	return false
}
