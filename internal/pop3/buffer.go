package pop3

import "sync"

// What a session needs while it sends is lent to it: most sessions of a server
// wait, and hold nothing then.

// outSize holds what waits at most, and a chunk encoded behind it.
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

// releaseOut gives lent memory back where nothing is in it.
func (w *wire) releaseOut() {
	if len(w.out) > 0 || cap(w.out) <= keepOut {
		return
	}
	if cap(w.out) == outSize {
		outs.Put((*[outSize]byte)(w.out[:outSize]))
	}
	w.out = nil
}
