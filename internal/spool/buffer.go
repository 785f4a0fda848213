package spool

import (
	"bytes"
	"errors"
	"io"
	"os"
)

// Body is a message to be accepted, with LF line ends. It may be read more
// than once.
type Body interface {
	io.ReaderAt
	Size() int64 // octets
}

// memoryLimit is how much of a message a Buffer keeps in memory.
const memoryLimit = 1 << 20

// Buffer holds a message until its verdict: up to 1 MiB in memory, all of a
// larger one in a file without a name and without a sync. It is a Body.
type Buffer struct {
	spool *Spool
	mem   []byte
	file  *os.File
	size  int64
}

// Buffer returns an empty buffer. Close it.
func (s *Spool) Buffer() *Buffer { return &Buffer{spool: s} }

// Write appends p.
func (b *Buffer) Write(p []byte) (int, error) {
	if b.file == nil && len(b.mem)+len(p) > memoryLimit {
		if err := b.spill(); err != nil {
			return 0, err
		}
	}
	if b.file == nil {
		b.mem = append(b.mem, p...)
		b.size += int64(len(p))
		return len(p), nil
	}
	n, err := b.file.Write(p)
	b.size += int64(n)
	return n, err
}

// spill moves what was written so far into a file in check/tmp.
func (b *Buffer) spill() error {
	tmp, err := b.spool.box(Check)
	if err != nil {
		return err
	}
	if err := b.spool.space(memoryLimit); err != nil {
		return err
	}
	f, err := tmp.tmp.Unnamed(draftName(newKey(b.spool.now(), b.spool.host)))
	if err != nil {
		return err
	}
	if _, err := f.Write(b.mem); err != nil {
		f.Close()
		return err
	}
	b.file, b.mem = f, nil
	return nil
}

// Size returns the octets written so far.
func (b *Buffer) Size() int64 { return b.size }

// ReadAt reads what was written.
func (b *Buffer) ReadAt(p []byte, off int64) (int, error) {
	if b.file != nil {
		return b.file.ReadAt(p, off)
	}
	if off < 0 {
		return 0, errors.New("negative offset")
	}
	if off >= int64(len(b.mem)) {
		return 0, io.EOF
	}
	n := copy(p, b.mem[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Close frees the buffer.
func (b *Buffer) Close() error {
	b.mem = nil
	if b.file == nil {
		return nil
	}
	return b.file.Close()
}

// BytesBody is a Body in memory.
func BytesBody(p []byte) Body { return bytes.NewReader(p) }
