package program

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// spareHeap is how much a runner's heap grows before garbage is collected, in octets. The
// runtime's own 4 MiB are full after some hundred messages.
const spareHeap = 24 << 20

// The percentage of what is live, after which garbage is collected, is at most that with which
// the runtime's least heap of 4 MiB becomes spareHeap (runtime/debug.SetGCPercent raises both), and
// at least one with which a queue of 100,000 entries is held in 60 MiB.
const (
	mostPercent  = 100 * spareHeap / (4 << 20)
	leastPercent = 50
)

// collectSeldom lets the heap of a runner grow by spareHeap between two collections, and by half
// where it is larger than twice that.
func collectSeldom() {
	debug.SetGCPercent(percentFor(liveHeap()))
	// A finalizer runs once, after the next collection. An object that small would share its
	// block with others, and might outlive it, if it had no pointer.
	runtime.SetFinalizer(&collected{new(byte)}, func(*collected) { collectSeldom() })
}

type collected struct{ p *byte }

// percentFor is the growth in percent of live octets, after which garbage is collected.
func percentFor(live uint64) int {
	return int(min(max(leastPercent, spareHeap*100/max(live, 1)), mostPercent))
}

// liveHeap is what the last collection has left, in octets; 0 before the first one.
func liveHeap() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	if s[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return s[0].Value.Uint64()
}
