package message

import (
	"errors"
	"io"
	"os"
)

// Sizes of a Buffer.
const (
	MemoryLimit = 1 << 20   // octets of a message that a Buffer keeps in memory
	spillUnit   = 256 << 10 // octets of a larger one that are written at once
)

// Buffer holds a message until its verdict: up to 1 MiB in memory, a larger one
// entirely in a file that has no name and is not synced.
type Buffer struct {
	open func() (*os.File, error)  // makes the file
	into func(io.Writer) io.Writer // what writes to the file; nil: it does itself
	mem  []byte                    // all of it, or what is not in file yet
	file *os.File                  // nil while memory suffices
	size int64
}

// NewBuffer returns an empty buffer. open makes its file, and into what writes to it; nil: the
// file itself. Close it.
func NewBuffer(open func() (*os.File, error), into func(io.Writer) io.Writer) *Buffer {
	return &Buffer{open: open, into: into}
}

// Write appends p.
func (b *Buffer) Write(p []byte) (int, error) {
	if b.file == nil && len(b.mem)+len(p) > MemoryLimit {
		if err := b.spill(); err != nil {
			return 0, err
		}
	}
	b.mem = append(b.mem, p...)
	b.size += int64(len(p))
	if b.file != nil && len(b.mem) >= spillUnit {
		return len(p), b.flush()
	}
	return len(p), nil
}

// flush writes what is not in the file yet. What a failure leaves unwritten stays in
// memory.
func (b *Buffer) flush() error {
	if len(b.mem) == 0 {
		return nil
	}
	var to io.Writer = b.file
	if b.into != nil {
		to = b.into(to)
	}
	n, err := to.Write(b.mem)
	b.mem = b.mem[:copy(b.mem, b.mem[n:])]
	return err
}

// spill moves what was written so far into the file.
func (b *Buffer) spill() error {
	f, err := b.open()
	if err != nil {
		return err
	}
	b.file = f
	return b.flush()
}

// Size returns the octets written so far.
func (b *Buffer) Size() int64 { return b.size }

// ReadAt reads what was written.
func (b *Buffer) ReadAt(p []byte, off int64) (int, error) {
	if b.file != nil {
		if err := b.flush(); err != nil {
			return 0, err
		}
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
