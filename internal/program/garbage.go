package program

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
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
func CollectSeldom(spare uint64) {
	debug.SetGCPercent(percentFor(liveHeap(), spare))
	// A finalizer runs once, after the next collection. An object that small would share its
	// block with others, and might outlive it, if it had no pointer.
	runtime.SetFinalizer(&collected{new(byte)}, func(*collected) { CollectSeldom(spare) })
}

type collected struct{ p *byte }

// percentFor is the growth in percent of live octets, after which garbage is collected: at most that
// with which the runtime's least heap of 4 MiB becomes spare (runtime/debug.SetGCPercent raises both).
func percentFor(live, spare uint64) int {
	return int(max(leastPercent, spare*100/max(live, 4<<20)))
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
