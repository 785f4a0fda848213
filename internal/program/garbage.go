package program

import (
	"runtime"
	"runtime/debug"
)

// How much a heap grows before garbage is collected, in octets. The runtime's own 4 MiB are full after
// some hundred messages.
const (
	spareOfRunner = 24 << 20
	SpareOfList   = 128 << 20 // of a program that lists a queue and ends: 100,000 entries make no garbage to speak of
)

// leastPercent is the least growth in percent of what is live: with it a runner holds a queue of
// 100,000 entries in 60 MiB.
const leastPercent = 50

// CollectSeldom lets the heap grow by spare octets between two collections, and by half where it is
// larger than twice that.
func CollectSeldom(spare uint64) { collectSeldom(100, spare) }

// collectSeldom is told the growth in percent until now.
func collectSeldom(percent int, spare uint64) {
	next := percentFor(liveHeap(percent), spare)
	debug.SetGCPercent(next)
	// A finalizer runs once, after the next collection. An object that small would share its
	// block with others, and might outlive it, if it had no pointer.
	runtime.SetFinalizer(&collected{new(byte)}, func(*collected) { collectSeldom(next, spare) })
}

type collected struct{ p *byte }

// percentFor is the growth in percent of live octets, after which garbage is collected: at most that
// with which the runtime's least heap of 4 MiB becomes spare (runtime/debug.SetGCPercent raises both).
func percentFor(live, spare uint64) int {
	return int(max(leastPercent, spare*100/max(live, 4<<20)))
}

// liveHeap is about what the last collection has left, in octets: what the next one was set by, with
// that growth in percent. The package runtime/metrics has the figure, but to be linked with it takes
// each start of a program 1.5 ms.
func liveHeap(percent int) uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.NextGC * 100 / uint64(100+percent)
}
