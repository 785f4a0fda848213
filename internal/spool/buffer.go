package spool

import (
	"bytes"
	"io"
	"os"

	"paperpath/internal/message"
)

// Body is a message to be accepted, with LF line ends. It may be read more
// than once.
type Body interface {
	io.ReaderAt
	Size() int64 // octets
}

// Buffer returns an empty buffer for a message, until its verdict. Its file is made in check/tmp and
// never uses the reserve, however long the message becomes. Close it.
func (s *Spool) Buffer() *message.Buffer {
	return message.NewBuffer(s.unnamed, func(w io.Writer) io.Writer { return s.writer(s.path, w) })
}

// unnamed makes a file without a name in check/tmp.
func (s *Spool) unnamed() (*os.File, error) {
	b, err := s.inbox(InboxCheck)
	if err != nil {
		return nil, err
	}
	room, err := s.room(s.path, message.MemoryLimit, 1)
	if err != nil {
		return nil, err
	}
	defer room.release()
	return b.tmp.Unnamed(draftName(NewKey(s.now(), s.host)))
}

// BytesBody is a Body in memory.
func BytesBody(p []byte) Body { return bytes.NewReader(p) }
