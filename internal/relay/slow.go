package relay

import (
	"paperpath/internal/status"
	"time"
)

// A destination that asked for less mail rests, and then gets it slowly: in one session,
// and one message in slowPause. Each slowStep transactions without a 4xx allow one session
// more, and halve the time between two messages.
const (
	slowStep      = 10
	slowPause     = time.Second
	shortestPause = 10 * time.Millisecond // is none
)

// slow makes a destination rest for a time, and get less mail after that. What waits for
// a session with it waits no longer.
func (r *Relay) slow(name string, f *failure, pause time.Duration) {
	o := outage{since: r.Now(), pause: pause, why: status.Public(f.err), noted: time.Now(), asked: true, cause: cause(f.words.Code)}
	r.reach.rest(name, o)
	r.known.slow(name, o)
	r.pool.slow(name, o.failure(name))
}

// paused reports whether a destination is not to be tried now, and why. That it asked
// another process for less mail counts, if this one is new to it.
func (r *Relay) paused(name string, now, asked time.Time) (outage, bool) {
	if r.pool.isNew(name) {
		if o, ok := r.known.slowed(name, now); ok {
			r.reach.rest(name, o)
			r.pool.slow(name, nil)
		}
	}
	return r.reach.paused(name, now, asked)
}

// isNew reports whether nobody has asked for a destination before.
func (p *pool) isNew(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, isNew := p.named(name)
	return isNew
}

// slow makes a destination get mail slowly. The orders that wait have the failure f, if
// there is one.
func (p *pool) slow(name string, f *failure) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d, _ := p.named(name)
	d.refused()
	d.slowly, d.pause, d.taken = true, p.slowPause, 0
	if f == nil {
		return
	}
	for _, l := range p.lines {
		var left []*order
		for _, o := range l.queue {
			if o.dest == d {
				o.fail(f)
			} else {
				left = append(left, o)
			}
		}
		l.queue = left
	}
}

// took notes a transaction without a 4xx. most is how many sessions there may be at all.
func (d *dest) took(most int) {
	if d.slowly {
		if d.taken++; d.taken < slowStep {
			return
		}
		if d.taken, d.pause = 0, d.pause/2; d.pause < shortestPause {
			d.pause = 0
		}
		d.slowly = d.pause > 0 || d.allowed+1 < most
	}
	if d.allowed < most {
		d.allowed++
	}
}

// between is the time from the beginning of a message to that of the next.
func (d *dest) between() time.Duration { return max(d.delay, d.pause) }
