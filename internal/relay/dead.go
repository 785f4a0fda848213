package relay

import (
	"sync"
	"time"
)

const (
	firstRest = time.Minute           // after a destination could not be reached
	lastRest  = 30 * time.Minute      // the longest rest
	maxGraves = 10000                 // destinations that are remembered
	coarse    = 10 * time.Millisecond // by which a file's change time may lag behind the clock
)

// memory knows the destinations that could not be reached, so that a queue
// full of mail for a dead host costs one connection attempt, not one an entry,
// and those that have answered. It lives as long as the process.
type memory struct {
	mu     sync.Mutex
	graves map[string]grave
	alive  map[string]bool
}

type grave struct {
	since time.Time
	rest  time.Duration
	why   string
	noted time.Time // when it was made, by the machine's clock
}

func (g grave) until() time.Time { return g.since.Add(g.rest) }

// resting reports whether name is not to be tried now, and why. asked is when a
// person wanted it tried (zero: nobody did): that ends a rest which began before,
// and not the one that begins when their attempt fails too.
func (m *memory) resting(name string, now, asked time.Time) (grave, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	g, ok := m.graves[name]
	if !asked.IsZero() && asked.Add(coarse).After(g.noted) {
		return g, false
	}
	return g, ok && now.Before(g.until())
}

// failed notes that name could not be reached by an attempt that began then.
// The rest grows, but once for all attempts that were under way together.
func (m *memory) failed(name, why string, began, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	g, ok := m.graves[name]
	switch {
	case !ok || now.Sub(g.until()) > lastRest:
		g.rest = firstRest
	case began.Before(g.since):
		return
	case began.Before(g.until()): // a person asked for it
	default:
		g.rest = min(2*g.rest, lastRest)
	}
	g.since, g.why = now, why
	m.bury(name, g)
}

// unknown notes that the DNS did not say where name is. That may be the fault
// of our own resolver, so the rest does not grow.
func (m *memory) unknown(name, why string, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bury(name, grave{since: now, rest: firstRest, why: why})
}

// bury remembers a grave. The caller holds mu.
func (m *memory) bury(name string, g grave) {
	if m.graves == nil || len(m.graves) >= maxGraves {
		m.graves = map[string]grave{}
	}
	g.noted = time.Now()
	m.graves[name] = g
	delete(m.alive, name)
}

// reached forgets that name was dead.
func (m *memory) reached(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.graves, name)
}

// answered notes whether a session with name was answered to its end.
func (m *memory) answered(name string, well bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !well {
		delete(m.alive, name)
		return
	}
	if m.alive == nil || len(m.alive) >= maxGraves {
		m.alive = map[string]bool{}
	}
	m.alive[name] = true
}

// proven reports whether name answered when it was last asked.
func (m *memory) proven(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.alive[name]
}
