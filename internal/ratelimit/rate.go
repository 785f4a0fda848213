package ratelimit

import "time"

// Rate is a limit on events in a span of time: Most of them at once, and from then on
// one every Per/Most. The zero Rate is no limit.
type Rate struct {
	Most int64
	Per  time.Duration
}

// Take counts n events of key at the time now if they are within the rate, and reports
// whether they are. An error of the file limits nothing: it is returned with true.
func (t *Table) Take(key string, n int64, r Rate, now time.Time) (ok bool, err error) {
	ok = true
	if r.Most <= 0 || r.Per <= 0 || n <= 0 {
		return true, nil
	}
	err = t.Update(key, func(e Entry) Entry {
		after, fits := r.take(e, n, now)
		ok = fits
		return after
	})
	return ok, err
}

// Full reports whether Take would refuse one more event of key. It counts nothing.
func (t *Table) Full(key string, r Rate, now time.Time) (full bool, err error) {
	if r.Most <= 0 || r.Per <= 0 {
		return false, nil
	}
	e, err := t.Get(key)
	if err != nil {
		return false, err
	}
	_, ok := r.take(e, 1, now)
	return !ok, nil
}

// take returns the entry after n more events at the time now, and whether they are
// within the rate; if not, the entry is unchanged.
func (r Rate) take(e Entry, n int64, now time.Time) (Entry, bool) {
	// The entry's time is when everything counted will be forgotten (the generic
	// cell rate algorithm, ITU-T I.371). If it is further away than the span, the
	// rate or the clock has been changed: it counts as a full span.
	busy := e.Time
	if busy.Before(now) {
		busy = now
	}
	if limit := now.Add(r.Per); busy.After(limit) {
		busy, e.Time = limit, limit
	}
	after := busy.Add(time.Duration(float64(r.Per) / float64(r.Most) * float64(n)))
	// Rounding may have added a nanosecond for each event.
	if after.Sub(now) > r.Per+time.Duration(r.Most) {
		return e, false
	}
	return Entry{Time: after, Count: e.Count + uint64(n)}, true
}
