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
func (w *wire) growOut() {
	if cap(w.out) < outSize {
		w.out = append(outs.Get().(*[outSize]byte)[:0], w.out...)
	}
}

// releaseOut gives borrowed memory back if it is empty.
func (w *wire) releaseOut() {
	if len(w.out) > 0 || cap(w.out) <= keepOut {
		return
	}
	if cap(w.out) == outSize {
		outs.Put((*[outSize]byte)(w.out[:outSize]))
	}
	w.out = nil
}
