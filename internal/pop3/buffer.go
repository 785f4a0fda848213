package pop3

import "sync"

// A session borrows the memory that it needs while it sends: most sessions of a
// server wait, and hold none then.

// outSize has room for the most output that waits, and one encoded chunk.
const outSize = flushAt + 2*chunkSize

// keepOut is the most output memory that a session keeps while it waits.
const keepOut = 1 << 10

var (
	chunks = sync.Pool{New: func() any { return new([chunkSize]byte) }}
	outs   = sync.Pool{New: func() any { return new([outSize]byte) }}
)

// growOut makes room for a reply of many lines.
func (s *stream) growOut() {
	if cap(s.Out) < outSize {
		s.Out = append(outs.Get().(*[outSize]byte)[:0], s.Out...)
	}
}

// releaseOut gives borrowed memory back if it is empty.
func (s *stream) releaseOut() {
	if len(s.Out) > 0 || cap(s.Out) <= keepOut {
		return
	}
	if cap(s.Out) == outSize {
		outs.Put((*[outSize]byte)(s.Out[:outSize]))
	}
	s.Out = nil
}
