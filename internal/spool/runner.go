package spool

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"

	"paperpath/internal/clock"
	"paperpath/internal/control"
	"paperpath/internal/dir"
)

// Handler is a stage: a function from an entry to an outcome. ctx ends when
// the runner is to stop.
type Handler func(ctx context.Context, e *Entry) Outcome

// Runner works one inbox. An inbox has one runner at a time; the others see its lock.
type Runner struct {
	Spool    *Spool
	Inbox    Inbox
	Handle   Handler
	Lane     func(e *Entry) string  // entries with one name share PerLane workers; nil: one lane
	Workers  func() int             // attempts at once, asked before each; nil or 0: one
	PerLane  func(lane string) int  // of them in one lane, 0 is no limit; nil: there is none
	Known    func(lane string) bool // a fifth of the workers is for these lanes; nil: for all
	MaxApart func() int             // attempts that hold no worker (Apart); nil: maxApart a worker
	Patience time.Duration          // how long an attempt holds its worker at most; 0: to its end
	Runtime  time.Duration          // Run starts no attempt after it; 0 is no limit
	Holdtime func() (time.Duration, error)
	Ages     func() bool           // whether the age of a file may be trusted now; nil: it may
	Share    func() (Share, error) // of hold/; nil: it may grow
	Digest   func(*Spool) error    // tells what is held, once a day; nil: none
	Retry    func() (control.Retry, error)
	Ready    func()          // Watch calls it once it watches
	Close    func()          // Run and Watch call it at the end; nil: there is nothing to close
	Noticed  func()          // called before an attempt at entries that it has noticed; nil: nobody asks
	Due      func(n int)     // called before attempts are begun: n entries are due; nil: nobody asks
	Attempts context.Context // of Watch's attempts, where they outlive its own; nil: they do not

	inbox    *inbox
	cleaning sync.Mutex
}

const (
	maxEvents    = 1000                   // new names that wait to be noticed
	lockPatience = 200 * time.Millisecond // to look at the lock is to hold it for an instant
	rescanEvery  = time.Minute            // new/: inotify only makes it faster
	truthEvery   = 10 * time.Minute       // cur/ too, which may be large
	cleanEvery   = time.Hour
	fitEvery     = 5 * time.Minute // hold/, which strangers can fill
)

// Run works on everything that is due, then returns. Where another runner works the
// inbox, it logs that and returns nil at once.
func (r *Runner) Run(ctx context.Context) error {
	defer r.close()
	unlock, err := r.lock(ctx)
	if unlock == nil {
		return err
	}
	defer unlock()
	s := newSchedule(ctx, r, false)
	if r.Runtime > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.Runtime)
		defer cancel()
	}
	err = s.run(ctx, nil, nil)
	r.Spool.log.Ran(string(r.Inbox), s.done, s.deferrals)
	return err
}

// Watch works on what is due and what arrives, until ctx ends. It waits for another
// runner's lock.
func (r *Runner) Watch(ctx context.Context) error {
	defer r.close()
	unlock, err := r.lockWait(ctx)
	if unlock == nil {
		return err
	}
	defer unlock()
	w, err := fsnotify.NewBufferedWatcher(maxEvents)
	if err != nil {
		return fmt.Errorf("watch %s: %w", r.inbox.new.Path(), err)
	}
	defer w.Close()
	if err := w.Add(r.inbox.new.Path()); err != nil {
		return fmt.Errorf("watch %s: %w", r.inbox.new.Path(), err)
	}
	r.Spool.log.Watching(string(r.Inbox))
	if r.Ready != nil {
		r.Ready()
	}
	attempts := r.Attempts
	if attempts == nil {
		attempts = ctx
	}
	return newSchedule(attempts, r, true).run(ctx, w.Events, w.Errors)
}

func (r *Runner) close() {
	if r.Close != nil {
		r.Close()
	}
}

// lock takes the inbox; unlock is nil where it could not.
func (r *Runner) lock(ctx context.Context) (unlock func(), err error) {
	if r.inbox, err = r.Spool.inbox(r.Inbox); err != nil {
		return nil, err
	}
	deadline := time.Now().Add(lockPatience)
	for {
		ok, err := r.tryLock()
		if ok {
			return func() { unix.Flock(r.inbox.self.Fd(), unix.LOCK_UN) }, nil
		}
		if err != nil {
			return nil, err
		}
		if time.Now().After(deadline) {
			r.Spool.log.Busy(string(r.Inbox))
			return nil, nil
		}
		if clock.Wait(ctx, lockPatience/20); ctx.Err() != nil {
			return nil, nil
		}
	}
}

// lockWait takes the inbox, however long another runner has it.
func (r *Runner) lockWait(ctx context.Context) (unlock func(), err error) {
	if unlock, err = r.lock(ctx); unlock != nil || err != nil {
		return unlock, err
	}
	for clock.Wait(ctx, time.Second); ctx.Err() == nil; clock.Wait(ctx, time.Second) {
		ok, err := r.tryLock()
		if err != nil {
			return nil, err
		}
		if ok {
			return func() { unix.Flock(r.inbox.self.Fd(), unix.LOCK_UN) }, nil
		}
	}
	return nil, nil
}

func (r *Runner) tryLock() (bool, error) {
	err := unix.Flock(r.inbox.self.Fd(), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, unix.EINTR) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("lock %s: %w", r.inbox.self.Path(), err)
	}
	return true, nil
}

// clean removes leftovers of the inbox. The runner of route/ also looks after hold/,
// which has none. Only one cleaning runs at a time, so that two never make room in
// hold/ together.
func (r *Runner) clean() {
	r.cleaning.Lock()
	defer r.cleaning.Unlock()
	now := r.Spool.ageing()
	if err := errors.Join(r.Spool.clean(r.inbox, now, r.Ages), r.logStrays(r.inbox)); err != nil {
		r.Spool.log.Trouble("", "clean "+string(r.Inbox), err)
	}
	if r.Digest != nil {
		if err := r.Digest(r.Spool); err != nil {
			r.Spool.log.Trouble("", "digest of "+string(InboxHold), err)
		}
	}
	if r.Inbox != InboxRoute {
		return
	}
	cleanHold := func() error { return r.cleanHold(now) }
	for _, do := range []func() error{cleanHold, r.expireHold, r.fitHold} {
		if err := do(); err != nil {
			r.Spool.log.Trouble("", "clean "+string(InboxHold), err)
		}
	}
}

func (r *Runner) cleanHold(now time.Time) error {
	if r.Holdtime == nil {
		return nil
	}
	b, err := r.Spool.inbox(InboxHold)
	if err != nil {
		return err
	}
	return errors.Join(r.Spool.clean(b, now, r.Ages), r.logStrays(b))
}

// logStrays logs what stays in the inbox because it is not a regular file.
func (r *Runner) logStrays(b *inbox) error {
	list, err := b.strays()
	for _, s := range list {
		r.Spool.log.Trouble("", "left: "+s.path, fmt.Errorf("%w: %w but %s", errNotOurs, dir.ErrNotRegular, s.kind))
	}
	return err
}

// expireHold removes what was held for longer than holdtime.
func (r *Runner) expireHold() error {
	if r.Holdtime == nil {
		return nil
	}
	holdtime, err := r.Holdtime()
	if err != nil || r.Ages != nil && !r.Ages() {
		return err
	}
	return r.Spool.expireHold(holdtime)
}

// fitHold keeps hold/ within its share.
func (r *Runner) fitHold() error {
	if r.Share == nil {
		return nil
	}
	share, err := r.Share()
	if err != nil {
		return err
	}
	return r.Spool.fitHold(share)
}

// keepFit runs fitHold between two cleanings.
func (r *Runner) keepFit() {
	if r.Inbox != InboxRoute || !r.cleaning.TryLock() {
		return
	}
	defer r.cleaning.Unlock()
	if err := r.fitHold(); err != nil {
		r.Spool.log.Trouble("", "clean "+string(InboxHold), err)
	}
}
