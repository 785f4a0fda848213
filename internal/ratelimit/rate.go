package ratelimit

import "time"

// Rate is how many there may be in a span of time: all of them at once, and
// from then on one each Per/Most. The zero Rate is no limit.
type Rate struct {
	Most int64
	Per  time.Duration
}

// Take counts n of key at the time now, and reports whether they are within
// the rate. What is not is not counted. An error of the file is no limit: it
// is returned with true.
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

// Full reports whether Take would find one more of key too much. It counts
// nothing.
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

// take is what becomes of an entry by n more at the time now, and whether they
// are within the rate.
func (r Rate) take(e Entry, n int64, now time.Time) (Entry, bool) {
	// The entry's time is when all that was counted will have been forgotten
	// (the generic cell rate algorithm, ITU-T I.371). One that is further off
	// than the span stems from another rate or a clock that was set: it counts
	// as a full span.
	busy := e.Time
	if busy.Before(now) {
		busy = now
	}
	if limit := now.Add(r.Per); busy.After(limit) {
		busy, e.Time = limit, limit
	}
	after := busy.Add(time.Duration(float64(r.Per) / float64(r.Most) * float64(n)))
	// A nanosecond a unit is what the division may have added.
	if after.Sub(now) > r.Per+time.Duration(r.Most) {
		return e, false
	}
	return Entry{Time: after, Count: e.Count + uint64(n)}, true
}
