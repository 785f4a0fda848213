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

// Places in the file of the gate: what takes one locks its octet. What is written
// in the file is since when each of the first two kinds is taken (markSize).
const (
	hashPlaces    = 0       // one a hash in work
	programPlaces = 1 << 16 // one a checkpassword program
	memoryPlaces  = 1 << 20 // one a MiB

	sparePlaces = 1 << 15 // from a place of the first two kinds to its spare
	spareMemory = 1 << 32

	lanePlaces = 1 << 56 // one an account
	pairPlaces = 1 << 60 // pairWaiting a pair of account and network
	hashed     = 1 << 48 // accounts, pairs
)

const (
	pairWaiting  = 3  // logins of one pair at a time; further ones are told to come again
	programsMost = 16 // checkpassword programs at a time

	gateTime  = 20 * time.Second // that a login waits for its turn
	laneTime  = 30 * time.Second // that a network waits which is new to an account under attack
	pollTime  = 5 * time.Millisecond
	stuckTime = 30 * time.Second // that no check takes: who has a place for longer was stopped
	freeAbove = 8                // MiB of a hash, which then go back to the system at once
)

// gate bounds what password checks cost at a time, for all processes of a home:
// under inetd each session is one. What is taken are locks on octets of one
// file (fcntl(2), F_OFD_SETLK), which the kernel gives back when a process dies.
type gate struct {
	path string
	tell func(op string, err error)
	now  func() time.Duration // of a clock that all processes share
	turn [2]chan struct{}     // of this process one stranger and one who is known polls, the others queue

	memory spans // in the place of the file where that cannot be had
}

func newGate(path string, tell func(string, error)) *gate {
	return &gate{path: path, tell: tell, now: monotonic,
		turn: [2]chan struct{}{make(chan struct{}, 1), make(chan struct{}, 1)}}
}

// bounds are what there may be at a time.
type bounds struct {
	slots  int // hashes
	memory int // MiB for them
}

// work is what a check of a password needs.
type work struct {
	program bool // one is run; else it is a hash
	memory  int  // MiB
}

// pass is one login's hold of the gate. What it holds goes when it is closed.
type pass struct {
	locks
	gate *gate
}

// locks are one login's hold of octets.
type locks interface {
	// try locks n octets, and reports whether they were free.
	try(at, n int64) (bool, error)
	// free unlocks what try has locked.
	free(at, n int64)
	// blocker returns octets that others have locked among n, length 0 for none.
	blocker(at, n int64) (start, length int64, err error)
	// mark notes since when a place is taken, 0 for not at all; marks returns that of
	// n places, or less where it is not known.
	mark(place int64, since time.Duration)
	marks(at, n int64) []time.Duration
	// close unlocks everything.
	close()
}

// open begins a login. Each has the file open for itself: the locks belong to
// the open file, not to the process. Where there is no file the gate is one of
// this process alone, for which it needs nothing that could be missing.
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

// run does f when there is room for it. A fifth of the room is for who is known:
// a flood of strangers leaves it to them. It reports whether f was called.
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
			debug.FreeOSMemory() // else the next process's comes on top of it
		}
		p.mark(r.slot, 0)
		p.leave(r)
	}()
	return true, f()
}

// room is what a check of a password holds.
type room struct{ slot, block, mib int64 }

func (p *pass) leave(r room) {
	if r.mib > 0 {
		p.free(r.block, r.mib)
	}
	p.free(r.slot, 1)
}

// room takes what w needs. Where others are stuck in their places there is as much
// again: a process that was stopped must not keep everybody out.
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

// stuck reports whether somebody has one of n places for longer than any work takes.
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

// slot takes one of most places; the last fifth of them is looked at by who is
// known alone, and first.
func (p *pass) slot(base int64, most int, known bool) (place int64, ok bool, err error) {
	kept := (most + 4) / 5
	if known {
		if place, ok, err = p.one(base+int64(most-kept), kept); ok || err != nil {
			return place, ok, err
		}
	}
	return p.one(base, most-kept)
}

// block takes n MiB that lie together; the last fifth of all is for who is
// known, and for what needs more than the rest.
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
		at = max(at, start) + length // behind who is in the way
	}
	return 0, false, nil
}

// await tries until it gets what it wants, for gateTime at most. Within a process
// who came first is first.
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

// poll tries until it gets what it wants or ctx ends.
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

// placeOf is where a name's place is among those that begin at base. The key
// keeps others from finding a name with the same one.
func placeOf(key []byte, base int64, each int, name string) int64 {
	sum := mac(key, []byte(name))
	return base + int64(binary.BigEndian.Uint64(sum[:sha256.Size])%hashed)*int64(each)
}
