// Package full has the list of mailboxes that are full, run/full: maildeliver, which finds
// out, keeps it for those who accept mail.
package full

import (
	"path/filepath"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/ratelimit"
	"paperpath/internal/status"
)

const (
	counts   = 15 * time.Minute // how long a mark refuses mail
	probe    = time.Hour        // in which one recipient passes a mark, to see whether it is still true
	patience = 24 * time.Hour   // how long a mailbox may be full before mail for it fails
	memory   = 72 * time.Hour   // after which a mark is of another time: retries come more often
)

// Marks is the list, shared by the processes of a home. Nothing in it is mail: if it is
// lost, mail is accepted and deferred until the mailboxes are marked again.
type Marks struct{ table *ratelimit.Table }

// Open returns the list of a home.
func Open(home string) *Marks {
	return &Marks{ratelimit.Open(filepath.Join(home, "run", "full"))}
}

// Close closes the file.
func (m *Marks) Close() error { return m.table.Close() }

// The entries of an address: Time is when a message last did not fit, and Count since when
// it is so; when a recipient last passed the mark; when somebody made room; when the user
// was warned.
func marked(address string) string { return "full " + addr.FoldAddress(address) }
func passed(address string) string { return "passed " + addr.FoldAddress(address) }
func lifted(address string) string { return "lifted " + addr.FoldAddress(address) }
func warned(address string) string { return "warned " + addr.FoldAddress(address) }

// Mark notes that a message did not fit, and returns the error of its recipient: temporary
// on the first day.
func (m *Marks) Mark(address string, now time.Time) error {
	var since time.Time
	err := m.table.Update(marked(address), func(e ratelimit.Entry) ratelimit.Entry {
		if e.Count == 0 || e.Time.After(now) || now.Sub(e.Time) > memory {
			e.Count = uint64(now.Unix())
		}
		since = time.Unix(int64(e.Count), 0)
		return ratelimit.Entry{Time: now, Count: e.Count}
	})
	if err == nil { // this message was the probe
		err = m.table.Update(passed(address), func(ratelimit.Entry) ratelimit.Entry { return ratelimit.Entry{Time: now} })
	}
	if err != nil {
		return status.Temp("4.2.2", fullText, err)
	}
	return failure(since, now)
}

// Clear notes that a message did fit.
func (m *Marks) Clear(address string) error { return m.forget(marked(address)) }

// Lift notes that the user may have made room. Since when the mailbox is full stays known:
// the next message will tell.
func (m *Marks) Lift(address string, now time.Time) error {
	e, err := m.table.Get(marked(address))
	if err != nil || e.Time.IsZero() {
		return err
	}
	return m.table.Update(lifted(address), func(ratelimit.Entry) ratelimit.Entry { return ratelimit.Entry{Time: now} })
}

// Refusal returns the error for a recipient whose mailbox is marked; nil: it is accepted.
func (m *Marks) Refusal(address string, now time.Time) error {
	mark, err := m.table.Get(marked(address))
	if err != nil || mark.Time.IsZero() || mark.Time.After(now) || now.Sub(mark.Time) >= counts {
		return err
	}
	lift, err := m.table.Get(lifted(address))
	if err != nil || !lift.Time.Before(mark.Time) {
		return err
	}
	pass := false
	err = m.table.Update(passed(address), func(e ratelimit.Entry) ratelimit.Entry {
		if pass = now.Sub(e.Time) >= probe; pass {
			e.Time = now
		}
		return e
	})
	if err != nil || pass {
		return err
	}
	return failure(time.Unix(int64(mark.Count), 0), now)
}

// Warn reports whether the user is to be warned now: they were not on the last day.
func (m *Marks) Warn(address string, now time.Time) (warn bool, err error) {
	err = m.table.Update(warned(address), func(e ratelimit.Entry) ratelimit.Entry {
		if warn = e.Time.IsZero() || e.Time.After(now) || now.Sub(e.Time) >= patience; warn {
			e.Time = now
		}
		return e
	})
	return warn && err == nil, err
}

func (m *Marks) forget(key string) error {
	return m.table.Update(key, func(ratelimit.Entry) ratelimit.Entry { return ratelimit.Entry{} })
}

const fullText = "the mailbox is full"

// failure is the error for a mailbox that is full since then (RFC 3463 3.3).
func failure(since, now time.Time) error {
	if now.Sub(since) < patience {
		e := status.Error{Exit: status.TempFail, Reply: 452, Enhanced: "4.2.2", Text: fullText}
		return &e
	}
	e := status.Refuse("5.2.2", fullText+" since "+since.UTC().Format("2 January"))
	e.Reply = 552
	return e
}
