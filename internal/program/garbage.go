package program

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// spareHeap is how much a runner's heap grows before garbage is collected, in octets. The
// runtime's own 4 MiB are full after some hundred messages.
const spareHeap = 24 << 20

// collectSeldom lets the heap of a runner grow by spareHeap between two collections; one that is
// larger is collected as usual, when it has doubled.
func collectSeldom() {
	debug.SetGCPercent(percentFor(liveHeap()))
	// A finalizer runs once, after the next collection. An object that small would share its
	// block with others, and might outlive it, if it had no pointer.
	runtime.SetFinalizer(&collected{new(byte)}, func(*collected) { collectSeldom() })
}

type collected struct{ p *byte }

// percentFor is the growth in percent of live octets, after which garbage is collected.
func percentFor(live uint64) int { return int(max(100, spareHeap*100/max(live, 1<<20))) }

// liveHeap is what the last collection has left, in octets; 0 before the first one.
func liveHeap() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	if s[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return s[0].Value.Uint64()
}
