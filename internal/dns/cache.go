package dns

import (
	"sync"
	"time"
)

// How much is remembered, and for how long.
const (
	maxEntries = 10000   // answers
	maxOctets  = 8 << 20 // of all answers, about
	perEntry   = 250     // octets that an answer takes besides its text, about
	perRecord  = 120

	floor      = 5 * time.Second // the checks of one message agree with each other
	ceiling    = 24 * time.Hour  // for records
	negCeiling = time.Hour       // for their absence (RFC 2308 5); who mends a zone need not wait longer
	refusedFor = 5 * time.Second // a server's SERVFAIL, REFUSED, ... (RFC 9520 3.2)
	silentFor  = time.Second     // no answer
)

// question is what is asked.
type question struct {
	name  string // as ASCII returns it
	qtype Type
}

// result is the answer to a question. It does not change.
type result struct {
	records []Record // of the type, at the end of all aliases
	secure  bool
	err     *Error // nil: there are records
	ttl     time.Duration
}

// octets estimates the memory that a result takes.
func (r *result) octets(q question) int {
	n := perEntry + 2*len(q.name)
	for _, rec := range r.records {
		n += perRecord + len(rec.Host) + len(rec.Text) + len(rec.owner)
	}
	if r.err != nil && r.err.Err != nil {
		n += len(r.err.Err.Error())
	}
	return n
}

// boundedTTL returns how long something is remembered that may be for ttl.
func boundedTTL(ttl, most time.Duration) time.Duration { return min(max(ttl, floor), most) }

// cache remembers results until their time is over; if there are too many, the one goes
// that was not asked for the longest. Its methods may be called concurrently.
type cache struct {
	mu      sync.Mutex
	entries map[question]*entry
	root    entry // of a ring: root.next was asked for last
	octets  int
}

type entry struct {
	question   question
	result     *result
	since      time.Time
	prev, next *entry
}

func newCache() *cache {
	c := &cache{entries: map[question]*entry{}}
	c.root.prev, c.root.next = &c.root, &c.root
	return c
}

// get returns the result of a question, nil if there is none at the time now.
func (c *cache) get(q question, now time.Time) *result {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[q]
	if e == nil {
		return nil
	}
	if age := now.Sub(e.since); age < 0 || age >= e.result.ttl {
		c.remove(e)
		return nil
	}
	e.unlink()
	c.first(e)
	return e.result
}

// put remembers a result.
func (c *cache) put(q question, r *result, now time.Time) {
	if r.ttl <= 0 || r.octets(q) > maxOctets/4 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.entries[q]; old != nil {
		c.remove(old)
	}
	e := &entry{question: q, result: r, since: now}
	c.entries[q] = e
	c.first(e)
	c.octets += r.octets(q)
	for len(c.entries) > maxEntries || c.octets > maxOctets {
		c.remove(c.root.prev)
	}
}

func (c *cache) remove(e *entry) {
	e.unlink()
	delete(c.entries, e.question)
	c.octets -= e.result.octets(e.question)
}

func (e *entry) unlink() { e.prev.next, e.next.prev = e.next, e.prev }

func (c *cache) first(e *entry) {
	e.prev, e.next = &c.root, c.root.next
	e.prev.next, e.next.prev = e, e
}
