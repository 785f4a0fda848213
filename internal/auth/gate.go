package auth

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"paperpath/internal/clock"
	"paperpath/internal/dir"
)

// Places in the file of the gate. To take one is to lock its octet. The content of the
// file is since when each place of the first two kinds has been taken (markSize).
const (
	hashPlaces    = 0       // one per hash in progress
	programPlaces = 1 << 16 // one per checkpassword program
	memoryPlaces  = 1 << 20 // one per MiB

	sparePlaces = 1 << 15 // distance from a place of the first two kinds to its spare
	spareMemory = 1 << 32

	lanePlaces = 1 << 56 // one per account
	pairPlaces = 1 << 60 // pairWaiting per pair of account and network
	hashed     = 1 << 48 // number of accounts, of pairs
)

const (
	pairWaiting  = 3  // logins of one pair at a time; further ones must try again later
	programsMost = 16 // checkpassword programs at a time

	gateTime  = 20 * time.Second // how long a login waits for its turn
	laneTime  = 30 * time.Second // how long a new network waits at an account under attack
	pollTime  = 5 * time.Millisecond
	stuckTime = 30 * time.Second // longer than any check: a process with a place for longer was stopped
	freeAbove = 8                // MiB of a hash that are returned to the system at once
)

// gate limits what concurrent password checks cost, over all processes of a home: under
// inetd each session is one. It takes locks on octets of one file (fcntl(2),
// F_OFD_SETLK), which the kernel releases when a process dies.
type gate struct {
	path string
	tell func(op string, err error)
	now  func() time.Duration // a clock that all processes share
	turn [2]chan struct{}     // in this process one stranger and one known client poll, the others queue

	memory spans // replaces the file if that cannot be opened
}

func newGate(path string, tell func(string, error)) *gate {
	return &gate{path: path, tell: tell, now: monotonic,
		turn: [2]chan struct{}{make(chan struct{}, 1), make(chan struct{}, 1)}}
}

// bounds are the limits in force.
type bounds struct {
	slots  int // hashes
	memory int // MiB for them
}

// work is what a password check needs.
type work struct {
	program bool // a program is run; otherwise a hash is computed
	memory  int  // MiB
}

// pass is one login at the gate. Closing it releases what it holds.
type pass struct {
	locks
	gate *gate
}

// locks are the octets that one login has locked.
type locks interface {
	// try locks n octets, and reports whether they were free.
	try(at, n int64) (bool, error)
	// free unlocks what try has locked.
	free(at, n int64)
	// blocker returns octets among n that others have locked, length 0 for none.
	blocker(at, n int64) (start, length int64, err error)
	// mark records since when a place has been taken, 0 for not at all; marks returns
	// that of n places, or of fewer if it is unknown.
	mark(place int64, since time.Duration)
	marks(at, n int64) []time.Duration
	// close unlocks everything.
	close()
}

// open begins a login. Each login opens the file for itself: the locks belong to the
// open file, not to the process. If that fails, the gate is private to this process and
// needs nothing from the system.
func (g *gate) open() *pass {
	f, err := dir.OpenPath(g.path, os.O_RDWR|os.O_CREATE, 0o660)
	if err != nil {
		g.tell("use a gate of this process alone", err)
		return &pass{&spanLocks{all: &g.memory}, g}
	}
	if st, err := f.Stat(); err == nil && st.Mode().Perm()&0o060 != 0o060 {
		f.Chmod(0o660) // the programs may run as several users of one group
	}
	return &pass{&fileLocks{f}, g}
}

// one locks one of n places.
func (p *pass) one(at int64, n int) (place int64, ok bool, err error) {
	for place = at; place < at+int64(n); place++ {
		if ok, err := p.try(place, 1); ok || err != nil {
			return place, ok, err
		}
	}
	return 0, false, nil
}

// run calls f when there is room for it, and reports whether it did. A fifth of the room
// is reserved for known clients, so that a flood of strangers does not keep them out.
func (p *pass) run(ctx context.Context, b bounds, w work, known bool, f func() error) (ran bool, err error) {
	var r room
	ok, err := p.await(ctx, known, func() (ok bool, err error) {
		r, ok, err = p.room(b, w, known)
		return ok, err
	})
	if !ok {
		return false, err
	}
	p.mark(r.slot, p.gate.now())
	defer func() {
		if w.memory >= freeAbove && !w.program {
			debug.FreeOSMemory() // or it would add to that of the next process
		}
		p.mark(r.slot, 0)
		p.leave(r)
	}()
	return true, f()
}

// room is what a password check holds.
type room struct{ slot, block, mib int64 }

func (p *pass) leave(r room) {
	if r.mib > 0 {
		p.free(r.block, r.mib)
	}
	p.free(r.slot, 1)
}

// room takes what w needs. If others are stuck in their places, as much room again is
// available: a stopped process must not keep everybody out.
func (p *pass) room(b bounds, w work, known bool) (r room, ok bool, err error) {
	most, base := b.slots, int64(hashPlaces)
	if w.program {
		most, base = programsMost, programPlaces
	} else {
		r.mib = int64(min(w.memory, b.memory))
	}
	ok, err = p.take(&r, base, memoryPlaces, most, b.memory, known)
	if ok || err != nil || !p.stuck(base, int64(most)) {
		return r, ok, err
	}
	ok, err = p.take(&r, base+sparePlaces, memoryPlaces+spareMemory, most, b.memory, known)
	return r, ok, err
}

// take takes one of most places and the memory that r needs, or neither.
func (p *pass) take(r *room, slots, blocks int64, most, memory int, known bool) (ok bool, err error) {
	if r.slot, ok, err = p.slot(slots, most, known); !ok || r.mib == 0 {
		return ok, err
	}
	if r.block, ok, err = p.block(blocks, r.mib, int64(memory), known); !ok {
		p.free(r.slot, 1)
	}
	return ok, err
}

// stuck reports whether a process has held one of n places longer than any work takes.
func (p *pass) stuck(at, n int64) bool {
	now := p.gate.now()
	for i, since := range p.marks(at, n) {
		if since == 0 || now-since <= stuckTime {
			continue
		}
		if _, length, err := p.blocker(at+int64(i), 1); err == nil && length > 0 {
			p.gate.tell("use more places of the gate", fmt.Errorf(
				"%s: a process has been in it for over %v (was it stopped?)", p.gate.path, stuckTime))
			return true
		}
	}
	return false
}

// slot takes one of most places. The last fifth is for known clients only, who try it
// first.
func (p *pass) slot(base int64, most int, known bool) (place int64, ok bool, err error) {
	kept := (most + 4) / 5
	if known {
		if place, ok, err = p.one(base+int64(most-kept), kept); ok || err != nil {
			return place, ok, err
		}
	}
	return p.one(base, most-kept)
}

// block takes n contiguous MiB. The last fifth of all is for known clients, and for what
// needs more than the rest.
func (p *pass) block(base, n, all int64, known bool) (at int64, ok bool, err error) {
	if !known {
		all = max(n, all-(all+4)/5)
	}
	for at = base; at+n <= base+all; {
		if ok, err = p.try(at, n); ok || err != nil {
			return at, ok, err
		}
		start, length, err := p.blocker(at, n)
		if err != nil {
			return 0, false, err
		}
		at = max(at, start) + length // past the one in the way
	}
	return 0, false, nil
}

// await retries try until it succeeds, for gateTime at most. Within a process it is
// first come, first served.
func (p *pass) await(ctx context.Context, known bool, try func() (bool, error)) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, gateTime)
	defer cancel()
	turn := p.gate.turn[0]
	if known {
		turn = p.gate.turn[1]
	}
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
	case <-ctx.Done():
		return false, nil
	}
	return poll(ctx, try)
}

// poll retries try until it succeeds or ctx ends.
func poll(ctx context.Context, try func() (bool, error)) (bool, error) {
	for {
		if ok, err := try(); ok || err != nil {
			return ok, err
		}
		if ctx.Err() != nil {
			return false, nil
		}
		clock.Wait(ctx, pollTime)
	}
}

// placeOf returns a name's place among those that begin at base. The key keeps others
// from finding a name with the same place.
func placeOf(key []byte, base int64, each int, name string) int64 {
	sum := mac(key, []byte(name))
	return base + int64(binary.BigEndian.Uint64(sum[:sha256.Size])%hashed)*int64(each)
}
