package home

import (
	"path/filepath"
	"strings"
	"time"

	"paperpath/internal/auth"
	"paperpath/internal/control"
	"paperpath/internal/ratelimit"
)

// TooMany counts n for who against a rate of control/rates, as c has it, across all
// processes of the home, and reports whether that exceeds the rate. If counting fails, the
// answer is no, and the log has the reason.
func (h *Home) TooMany(c *control.Control, rate, who string, n int64) bool {
	r, err := c.Rate(rate)
	if err == nil {
		var ok bool
		kind := "clients"
		if strings.HasPrefix(rate, "user-") {
			kind = "users"
		}
		if ok, err = h.counters(kind, false).Take(rate+" "+who, n, ratelimit.Rate(r), h.Clock.Now()); !ok {
			return true
		}
	}
	if err != nil {
		h.Log.Trouble("", "count "+rate, err)
	}
	return false
}

// counters returns a table of counters that the processes of the home share,
// run/tally-KIND. Strangers have a table of their own: a full table forgets counts,
// and strangers must not be able to make it forget those of users. With fallback,
// this process counts on its own while the table cannot be written.
func (h *Home) counters(kind string, fallback bool) *ratelimit.Table {
	h.countersMu.Lock()
	defer h.countersMu.Unlock()
	if t := h.tables[kind]; t != nil {
		return t
	}
	if h.tables == nil {
		h.tables = map[string]*ratelimit.Table{}
	}
	path := filepath.Join(h.Dir, "run", "tally-"+kind)
	t := ratelimit.Open(path)
	if fallback {
		t = ratelimit.OpenWithFallback(path, func(err error) { h.seldom("count in this process alone: "+path, err) })
	}
	h.tables[kind] = t
	return t
}

// Guard returns the guard against password guessing.
func (h *Home) Guard() *auth.Guard {
	return auth.NewGuard(h.Control, filepath.Join(h.Dir, "run", "gate"),
		h.counters("logins", true), h.counters("known", true), h.Clock.Now, h.seldom)
}

// seldom logs trouble at most once an hour for each op: for errors that every login
// would repeat.
func (h *Home) seldom(op string, err error) {
	h.seldomMu.Lock()
	defer h.seldomMu.Unlock()
	if last, ok := h.lastTold[op]; ok && time.Since(last) < time.Hour {
		return
	}
	if h.lastTold == nil {
		h.lastTold = map[string]time.Time{}
	}
	h.lastTold[op] = time.Now()
	h.Log.Trouble("", op, err)
}
