package spool

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/dir"
	"paperpath/internal/status"
)

const (
	tornAge      = time.Minute    // how long a short file may still be growing
	troubleDelay = time.Minute    // until the next look where a reason could not be written
	leftDelay    = time.Hour      // until the next look at what is not ours to move
	panicLimit   = 3              // attempts that may panic before a person must look
	graceTime    = 24 * time.Hour // beyond its lifetime, in which an outcome may fail to be carried out
)

// result is what an attempt leaves for the schedule.
type result struct {
	job      job
	name     string // where the entry is now
	state    state
	deferred bool
	due      time.Time
	mailbox  string // stored into; its directories want a sync

	slow  bool // it has used up the runner's patience
	going bool // and goes on: this is no end yet
}

// attempt works on one entry, whatever it turns out to be. It never panics.
func (r *Runner) attempt(ctx context.Context, j job) (res result) {
	res = result{job: j, name: j.name, state: j.state}
	err := status.Guard(func() error {
		r.work(ctx, j, &res)
		return nil
	})
	if err != nil {
		r.Spool.log.Trouble(string(j.key), "attempt", err)
		res.deferred, res.due = true, r.Spool.now().Add(troubleDelay)
	}
	return res
}

// work opens the entry, lets the stage decide, and carries that out.
func (r *Runner) work(ctx context.Context, j job, res *result) {
	e, err := r.inbox.open(j.name, j.state)
	if errors.Is(err, errDuplicate) {
		e, err = r.openDuplicate(j)
	}
	if err != nil {
		res.deferred, res.due = r.unworkable(j, err)
		return
	}
	defer e.close()
	defer func() { res.name, res.state = e.name, e.state }()
	o := r.handle(ctx, e)
	if e.duplicate {
		if err := r.deliverDuplicate(e, o); err != nil {
			res.deferred, res.due = r.unworkable(j, err)
		}
		return
	}
	err = r.carry(e, o)
	if err == nil {
		res.deferred, res.due, res.mailbox = o.Action == Defer, o.Due, o.Mailbox
		return
	}
	res.deferred, res.due = r.failed(e, err)
}

// failed decides about an outcome that could not be carried out. It is our own
// trouble, so it is said and tried again; as any other attempt it counts, and
// when the entry has expired a person must look, but for graceTime: a disk that
// failed once must not cost the bounce of what has just expired. It reports whether
// and when to look again.
func (r *Runner) failed(e *Entry, err error) (again bool, due time.Time) {
	r.Spool.log.Trouble(string(e.Key), "carry out", err)
	now := r.Spool.now()
	if retry, unread := r.Retry(); unread == nil && retry.Expired(now.Sub(e.Arrival)-graceTime, e.Attempts+1) {
		held := r.carry(e, HoldBecause("given up, it cannot be carried out: "+err.Error()))
		if held == nil {
			return false, due
		}
		r.Spool.log.Trouble(string(e.Key), "hold", held)
	}
	due = now.Add(r.delay(e))
	if err := r.carry(e, DeferUntil(due, err.Error())); err != nil {
		r.Spool.log.Trouble(string(e.Key), "defer", err)
		due = r.Spool.now().Add(troubleDelay)
	}
	return true, due
}

// carry carries the outcome out; a panic there is trouble of our own.
func (r *Runner) carry(e *Entry, o Outcome) (err error) {
	defer status.Catch(&err)
	return r.Spool.carry(e, o)
}

// handle calls the stage. A panic is temporary, until it looks like the
// entry's own doing.
func (r *Runner) handle(ctx context.Context, e *Entry) (o Outcome) {
	panicked := status.Guard(func() error {
		o = r.Handle(ctx, e)
		return nil
	})
	if panicked == nil {
		return o
	}
	r.Spool.log.Trouble(string(e.Key), "attempt", panicked)
	if e.Attempts+1 >= panicLimit {
		return HoldBecause(panicked.Error())
	}
	return DeferUntil(r.Spool.now().Add(r.delay(e)), panicked.Error())
}

// delay is the time to the entry's next attempt.
func (r *Runner) delay(e *Entry) time.Duration {
	retry, err := r.Retry()
	if err != nil {
		return troubleDelay
	}
	return retry.Next(r.Spool.now().Sub(e.Arrival))
}

// unworkable decides about a file that is no entry to work on. It reports
// whether and when to look again.
func (r *Runner) unworkable(j job, err error) (again bool, due time.Time) {
	switch {
	case errors.Is(err, errGone), errors.Is(err, fs.ErrNotExist):
		return false, due
	case errors.Is(err, errNotOurs):
		r.Spool.log.Trouble(string(j.key), "left in "+string(r.Inbox)+": "+j.name, err)
		return true, r.Spool.now().Add(leftDelay)
	case errors.Is(err, errRecheck):
		return true, r.Spool.now().Add(duplicateAge)
	case errors.Is(err, errTorn):
		if age, err := r.stillFor(j); err == nil && age > tornAge {
			break
		}
		return true, r.Spool.now().Add(tornAge)
	case errors.Is(err, errForeign):
	default:
		r.Spool.log.Trouble(string(j.key), "open", err)
		return true, r.Spool.now().Add(troubleDelay)
	}
	if held := r.Spool.holdFile(r.inbox, j, err.Error()); held != nil {
		r.Spool.log.Trouble(string(j.key), "hold", held)
		return true, r.Spool.now().Add(troubleDelay)
	}
	r.Spool.log.Held(string(j.key), string(r.Inbox), err.Error())
	return false, due
}

// stillFor returns how long the file has not changed.
func (r *Runner) stillFor(j job) (time.Duration, error) {
	st, err := r.inbox.dir(j.state).StatName(j.name)
	if err != nil {
		return 0, err
	}
	return r.Spool.machine().Sub(time.Unix(st.Ctim.Unix())), nil
}

// holdFile moves a file that is no entry of ours to hold/, under its own key
// where its name has one that is free, else under a new key.
func (s *Spool) holdFile(from *inbox, j job, reason string) error {
	hold, err := s.inbox(InboxHold)
	if err != nil {
		return err
	}
	k, base, _, _, named := parseName(j.name)
	if named == nil {
		_, _, err := hold.find(k)
		if err != nil && !errors.Is(err, errGone) {
			return err
		}
		if err == nil { // the one that waits there keeps its name and its reason
			named = fs.ErrExist
		}
	}
	if named != nil {
		size, wire, err := measure(from.dir(j.state), j.name)
		if err != nil {
			return err
		}
		k = NewKey(s.now(), s.host)
		base = fileName(k, size, wire)
		reason += " (it was " + j.name + ")"
	}
	line := reasonLine(s.now(), from.name, verbHeld, reason)
	if err := hold.setReason(k, line, s.now()); err != nil {
		return err
	}
	return from.dir(j.state).Rename(j.name, hold.new, base)
}

// measure counts the octets of a file as they are and with CRLF line ends.
func measure(d *dir.Dir, name string) (size, wire int64, err error) {
	f, err := d.OpenFile(name, unix.O_RDONLY, 0)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	buf := make([]byte, copyBuffer)
	for {
		n, err := f.Read(buf)
		size += int64(n)
		wire += int64(n + bytes.Count(buf[:n], []byte("\n")))
		if err == io.EOF {
			return size, wire, nil
		}
		if err != nil {
			return 0, 0, err
		}
	}
}
