package relay

import (
	"path/filepath"
	"sync"
	"time"

	"paperpath/internal/ratelimit"
)

// hosts is what is remembered of hosts, by address and port: which do not answer, which
// have answered, and what they bear. It is in run/hosts, which all processes share; a
// file that is missing or broken is made anew. Why a host did not answer only the
// process knows that saw it.
type hosts struct {
	table *ratelimit.Table

	mu      sync.Mutex
	whys    map[string]string
	noted   map[string]time.Time // when an answer was last written down
	avoided sync.Once
}

const (
	knownFor  = time.Hour        // after an answer
	noteEvery = 10 * time.Minute // an answer is written down
	styleFor  = 24 * time.Hour
)

// openHosts returns the memory of a home.
func openHosts(r *Relay) *hosts {
	path := filepath.Join(r.Control.Home(), "run", "hosts")
	h := &hosts{whys: map[string]string{}, noted: map[string]time.Time{}}
	h.table = ratelimit.OpenWithFallback(path, func(err error) {
		h.avoided.Do(func() { r.Log.Trouble("", "remember hosts in this process alone: "+path, err) })
	})
	return h
}

// style is what a host bears of a session.
type style struct {
	alone bool // it closes although an envelope is behind the end of a text
	most  int  // messages after which it closes; 0: not known
}

// style returns what a host bears, as it was seen within a day.
func (h *hosts) style(addr string, now time.Time) style {
	e := h.get("style " + addr)
	if age := now.Sub(e.Time); e.Time.IsZero() || age > styleFor || age < -styleFor {
		return style{}
	}
	return style{alone: e.Count&1 != 0, most: int(min(e.Count>>1, 1<<20))}
}

// learn remembers what a host bears, beside what it was found to bear before.
func (h *hosts) learn(addr string, s style, now time.Time) {
	old := h.style(addr, now)
	s.alone = s.alone || old.alone
	if s.most == 0 || old.most > 0 && old.most < s.most {
		s.most = old.most
	}
	e := ratelimit.Entry{Time: now, Count: uint64(s.most) << 1}
	if s.alone {
		e.Count |= 1
	}
	h.put("style "+addr, e)
}

// get and put fail only together with the memory that stands in for the file, which
// cannot fail.
func (h *hosts) get(key string) ratelimit.Entry {
	e, _ := h.table.Get(key)
	return e
}

func (h *hosts) put(key string, e ratelimit.Entry) {
	_ = h.table.Update(key, func(ratelimit.Entry) ratelimit.Entry { return e })
}

// answered notes that a host answers: its rest is over, and it counts as known.
func (h *hosts) answered(addr string, now time.Time) {
	h.mu.Lock()
	_, failed := h.whys[addr]
	fresh := absolute(now.Sub(h.noted[addr])) < noteEvery
	if len(h.noted) >= maxRemembered {
		clear(h.noted)
	}
	h.noted[addr] = now
	delete(h.whys, addr)
	h.mu.Unlock()
	if !fresh || failed {
		h.put("known "+addr, ratelimit.Entry{Time: now})
		if h.get("rest "+addr) != (ratelimit.Entry{}) {
			h.put("rest "+addr, ratelimit.Entry{})
		}
	}
}

// isKnown reports whether a host has answered within the hour, and not failed since.
func (h *hosts) isKnown(addr string, now time.Time) bool {
	e := h.get("known " + addr)
	return !e.Time.IsZero() && absolute(now.Sub(e.Time)) < knownFor
}

// failed notes that a host could not be reached, or refused to talk, in an attempt that
// began then. Its rest grows once for all attempts that were under way together.
func (h *hosts) failed(addr, why string, began, now time.Time) {
	h.mu.Lock()
	if len(h.whys) >= maxRemembered {
		clear(h.whys)
	}
	h.whys[addr] = why
	delete(h.noted, addr)
	h.mu.Unlock()
	_ = h.table.Update("rest "+addr, func(e ratelimit.Entry) ratelimit.Entry {
		o := outageOf(e)
		if o.grow(began, now) {
			o.noted = time.Now()
		}
		return o.entry()
	})
	h.put("known "+addr, ratelimit.Entry{})
}

// rest reports whether a host is not to be tried now, and why. asked is when a person
// asked for an attempt, as in reachability.paused.
func (h *hosts) rest(addr string, now, asked time.Time) (outage, bool) {
	e := h.get("rest " + addr)
	if e == (ratelimit.Entry{}) {
		return outage{}, false
	}
	o := outageOf(e)
	if o.why = h.why(addr); o.why == "" {
		o.why = "seen by another process"
	}
	return o, o.pauses(now, asked)
}

func (h *hosts) why(addr string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.whys[addr]
}

// entry is an outage as the file has it: when it began, and in the count how many
// minutes it lasts and, above that, when it was noted, in milliseconds.
func (o outage) entry() ratelimit.Entry {
	return ratelimit.Entry{Time: o.since, Count: uint64(o.noted.UnixMilli())<<8 | uint64(o.pause/time.Minute)&0xff}
}

// outageOf reads an entry. What no outage can be is none.
func outageOf(e ratelimit.Entry) outage {
	o := outage{since: e.Time, pause: time.Duration(e.Count&0xff) * time.Minute, noted: time.UnixMilli(int64(e.Count >> 8))}
	if e.Time.IsZero() || o.pause < firstPause || o.pause > longestPause {
		return outage{}
	}
	return o
}

func absolute(d time.Duration) time.Duration { return max(d, -d) }
