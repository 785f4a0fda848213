package message

import (
	"bufio"
	"io"
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
