package relay

import (
	"path/filepath"
	"sync"
	"time"

	"paperpath/internal/ratelimit"
	"paperpath/internal/status"
)

// hosts is what is remembered of hosts, by address and port: which do not answer, which
// have answered, and what they bear; and which destinations asked for less mail. It is
// in run/hosts, which all processes share; a file that is missing or broken is made anew.
// The words of a failure have no room in its records: only the process that saw it knows
// them, and the others its cause.
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
		if h.get("rests "+addr) != (ratelimit.Entry{}) {
			h.put("rests "+addr, ratelimit.Entry{})
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
func (h *hosts) failed(addr string, f *failure, began, now time.Time) {
	h.mu.Lock()
	if len(h.whys) >= maxRemembered {
		clear(h.whys)
	}
	h.whys[addr] = status.Public(f.err)
	delete(h.noted, addr)
	h.mu.Unlock()
	_ = h.table.Update("rests "+addr, func(e ratelimit.Entry) ratelimit.Entry {
		o := outageOf(e, longestPause)
		if o.grow(began, now) {
			o.noted, o.cause = time.Now(), f.cause
		}
		return o.entry()
	})
	h.put("known "+addr, ratelimit.Entry{})
}

// rest reports whether a host is not to be tried now, and why. asked is when a person
// asked for an attempt, as in reachability.paused.
func (h *hosts) rest(addr string, now, asked time.Time) (outage, bool) {
	e := h.get("rests " + addr)
	if e == (ratelimit.Entry{}) {
		return outage{}, false
	}
	o := outageOf(e, longestPause)
	if o.why = h.why(addr); o.why == "" {
		o.why = o.cause.String() + seenElsewhere
	}
	return o, o.pauses(now, asked)
}

// slow notes that a destination asked for less mail.
func (h *hosts) slow(name string, o outage) { h.put("slow "+name, o.entry()) }

// slowed returns the rest of a destination that asked for less mail, as long as it gets
// mail slowly after that.
func (h *hosts) slowed(name string, now time.Time) (o outage, ok bool) {
	o = outageOf(h.get("slow "+name), longestSlow)
	o.why, o.asked = o.cause.String()+seenElsewhere, true
	return o, !o.since.IsZero() && absolute(now.Sub(o.since)) < o.pause+slowFor
}

const (
	longestSlow = 24 * time.Hour // that a row of control/reply-rules may say
	slowFor     = time.Hour      // after a rest a process that begins sends slowly
)

func (h *hosts) why(addr string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.whys[addr]
}

func absolute(d time.Duration) time.Duration { return max(d, -d) }
