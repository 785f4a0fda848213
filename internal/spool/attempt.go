package spool

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/status"
)

const (
	tornAge      = time.Minute    // how long a short file may still be growing
	troubleDelay = time.Minute    // until the next look after trouble of our own
	leftDelay    = time.Hour      // until the next look at what is not ours to move
	panicLimit   = 3              // attempts that may panic before a person must look
	graceTime    = 24 * time.Hour // after its lifetime, in which carrying an outcome out may fail
)

// result is what an attempt leaves for the schedule.
type result struct {
	job      job
	at       spot // where the entry is now
	deferred bool
	due      time.Time
	mailbox  string // delivered into; its directory needs a sync
	device   uint64 // that it is on

	apart bool // it holds no worker
	going bool // it is still running: this is not its end
}

// attempt works on one entry, whatever it turns out to be. It never panics.
func (r *Runner) attempt(ctx context.Context, j job) (res result) {
	res = result{job: j, at: j.at}
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
	e, err := j.entry()
	if errors.Is(err, errDuplicate) {
		e, err = r.openDuplicate(j)
	}
	if err != nil {
		res.deferred, res.due = r.unworkable(j, err)
		return
	}
	defer r.leave(e)
	defer func() { res.at = e.at }()
	o := r.handle(ctx, e)
	if e.duplicate {
		if err := r.deliverDuplicate(e, o); err != nil {
			res.deferred, res.due = r.unworkable(j, err)
		}
		return
	}
	if err = r.conclude(e, o); err == nil {
		res.deferred, res.due = o.Action == Defer, o.Due
		if o.Action == Deliver {
			res.mailbox, res.device = r.device(o)
		}
		return
	}
	res.deferred, res.due = r.failed(e, err)
}

// device returns the mailbox that has got a message, "" if it is gone, and the number of the file
// system that it is on.
func (r *Runner) device(o Outcome) (mailbox string, n uint64) {
	if o.opened != nil {
		if n, err := o.opened.Device(); err == nil {
			return o.mailbox, n
		}
	}
	var st unix.Stat_t
	if err := unix.Stat(o.mailbox, &st); err != nil {
		r.Spool.log.Trouble("", "sync", &fs.PathError{Op: "stat", Path: o.mailbox, Err: err})
		return "", 0
	}
	return o.mailbox, st.Dev
}

// leave closes an entry at the end of an attempt.
func (r *Runner) leave(e *Entry) {
	if err := e.close(); err != nil {
		r.Spool.log.Trouble(string(e.Key), "mark", err)
	}
}

// failed handles an outcome that could not be carried out. That is our own trouble,
// so it is logged and tried again. It counts as an attempt: an entry that has
// expired is held, but not before graceTime has passed, so that a disk that failed
// once does not cost it its bounce. failed reports whether and when to look again.
func (r *Runner) failed(e *Entry, err error) (again bool, due time.Time) {
	r.Spool.log.Trouble(string(e.Key), "carry out", err)
	now := r.Spool.now()
	if retry, unread := r.Retry(); unread == nil && retry.Expired(now.Sub(e.Arrival)-graceTime, e.Attempts+1) {
		held := r.conclude(e, HoldBecause("given up, it cannot be carried out: "+err.Error()))
		if held == nil {
			return false, due
		}
		r.Spool.log.Trouble(string(e.Key), "hold", held)
	}
	due = now.Add(r.delay(e))
	if err := r.conclude(e, DeferUntil(due, err.Error())); err != nil {
		r.Spool.log.Trouble(string(e.Key), "defer", err)
		due = r.Spool.now().Add(troubleDelay)
	}
	return true, due
}

// conclude carries the outcome out. An entry that a person moved or removed in the
// meantime is no failure; a panic is our own trouble.
func (r *Runner) conclude(e *Entry, o Outcome) (err error) {
	defer status.Catch(&err)
	if err = r.Spool.carryOut(e, o); errors.Is(err, errGone) {
		return nil
	}
	return err
}

// handle calls the stage. A panic is temporary, until the entry itself seems to
// cause it.
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

// delay is the time to the entry's next attempt after trouble of our own.
func (r *Runner) delay(e *Entry) time.Duration {
	retry, err := r.Retry()
	if err != nil {
		return troubleDelay
	}
	return retry.NextOurs(r.Spool.now().Sub(e.Arrival), string(e.Key))
}

// unworkable decides what becomes of a file that no stage can work on, and reports
// whether and when to look again.
func (r *Runner) unworkable(j job, err error) (again bool, due time.Time) {
	switch {
	case errors.Is(err, errGone), errors.Is(err, fs.ErrNotExist):
		return false, due
	case errors.Is(err, errNotOurs):
		r.Spool.log.Trouble(string(j.key), "left in "+string(r.Inbox)+": "+j.at.name, err)
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
	if held := r.Spool.holdFile(j.at, err.Error()); held != nil {
		r.Spool.log.Trouble(string(j.key), "hold", held)
		return true, r.Spool.now().Add(troubleDelay)
	}
	r.Spool.log.Held(string(j.key), string(r.Inbox), err.Error())
	return false, due
}

// stillFor returns how long the file has not changed.
func (r *Runner) stillFor(j job) (time.Duration, error) {
	st, err := j.at.stat()
	if err != nil {
		return 0, err
	}
	return r.Spool.machine().Sub(time.Unix(st.Ctim.Unix())), nil
}

// holdFile moves a file that is not an entry of ours to hold/, under its own name if
// that is an entry's name and its key is free there, else under a new one: what is held
// already keeps its name and its reason.
func (s *Spool) holdFile(at spot, reason string) error {
	hold, err := s.inbox(InboxHold)
	if err != nil {
		return err
	}
	n, err := parseName(at.name)
	free := err == nil
	if free {
		_, err := hold.find(n.key)
		if err != nil && !errors.Is(err, errGone) {
			return err
		}
		free = err != nil
	}
	if !free {
		if n, err = measure(at); err != nil {
			return err
		}
		n.key = NewKey(s.now(), s.host)
		reason += " (it was " + at.name + ")"
	}
	line := reasonLine(s.now(), at.inbox.name, verbHeld, reason)
	if err := hold.setReason(n.key, line, s.now()); err != nil {
		return err
	}
	return at.dir().Rename(at.name, hold.new, n.String())
}

// measure counts the octets of a file as they are and with CRLF line ends.
func measure(at spot) (n fileName, err error) {
	f, err := at.dir().OpenFile(at.name, unix.O_RDONLY, 0)
	if err != nil {
		return n, err
	}
	defer f.Close()
	buf := make([]byte, copyBuffer)
	for {
		c, err := f.Read(buf)
		n.size += int64(c)
		n.wire += int64(c + bytes.Count(buf[:c], []byte("\n")))
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}
