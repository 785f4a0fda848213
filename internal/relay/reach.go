package relay

import (
	"sync"
	"time"
)

const (
	firstPause    = time.Minute           // after a destination could not be reached
	longestPause  = 30 * time.Minute      // the longest that a pause grows to
	maxRemembered = 10000                 // destinations that are remembered
	coarse        = 10 * time.Millisecond // by which a file's change time may lag behind the clock
)

// reachability remembers which destinations could not be reached, so that a queue
// full of mail for a dead host costs one connection attempt instead of one per
// entry, and which have answered. It lives as long as the process.
type reachability struct {
	mu          sync.Mutex
	unreachable map[string]outage
	answering   map[string]time.Time
}

// paused reports whether name is not to be tried now, and why.
func (r *reachability) paused(name string, now, asked time.Time) (outage, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o, ok := r.unreachable[name]
	return o, ok && o.pauses(now, asked)
}

// failed notes that name could not be reached by an attempt that began then.
func (r *reachability) failed(name, why string, began, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.unreachable[name]
	if o.grow(began, now) {
		o.why, o.noted = why, time.Now()
		r.remember(name, o)
	}
}

// unknown notes that the DNS did not say where name is. That may be the fault of
// our own resolver, so the pause does not grow.
func (r *reachability) unknown(name, why string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.remember(name, outage{since: now, pause: firstPause, why: why, noted: time.Now()})
}

// rest notes that name is not tried for a while.
func (r *reachability) rest(name string, o outage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.remember(name, o)
}

// remember notes an outage. The caller holds mu.
func (r *reachability) remember(name string, o outage) {
	if r.unreachable == nil || len(r.unreachable) >= maxRemembered {
		r.unreachable = map[string]outage{}
	}
	r.unreachable[name] = o
	delete(r.answering, name)
}

// reached notes that name answers, which ends its outage.
func (r *reachability) reached(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.unreachable[name].asked { // a host that asks for a rest answers all the time
		delete(r.unreachable, name)
	}
	r.answer(name)
}

// isAnswering reports whether name has answered within the hour, and not failed since.
// ask is asked about a name that this process does not know.
func (r *reachability) isAnswering(name string, ask func() bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, ok := r.answering[name]
	if _, failed := r.unreachable[name]; !ok && !failed && ask() {
		r.answer(name)
		return true
	}
	return ok && time.Since(at) < knownFor
}

// answer notes that name answers now. The caller holds mu.
func (r *reachability) answer(name string) {
	if r.answering == nil || len(r.answering) >= maxRemembered {
		r.answering = map[string]time.Time{}
	}
	r.answering[name] = time.Now()
}
