package spool

import (
	"container/heap"
	"context"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"paperpath/internal/status"
)

// lookAhead is how many due entries are looked at in a row to find one whose lane is
// free; then what has happened in the meantime has its turn.
const lookAhead = 200

// batchTime is how long a delivery waits for others to be made durable with it.
const batchTime = 100 * time.Millisecond

// schedule decides what is worked on when. One goroutine owns it; attempts run in
// their own and report to it.
type schedule struct {
	r        *Runner
	stay     bool            // Watch: wait for what arrives
	attempt  context.Context // of attempts, which do not end with a Run's time
	known    map[string]jobState
	back     map[string]string // id to the name that came into new/ while its entry was at work
	deferred deferredJobs      // due later
	queue    []job             // due and never tried, lane not looked up
	again    []job             // due and tried before, lane not looked up
	older    bool              // the next one is from again
	lanes    map[string]*lane
	ready    map[turn][]*lane // lanes with queued jobs that may have another worker
	turn     turn             // of the last lane picked
	queued   int              // jobs in lanes
	split    Key              // whose children have been noticed last
	open     int              // jobs in lanes whose entry is open
	running  int              // attempts
	apart    int              // those of them that hold no worker
	results  chan result
	idle     chan job            // to a goroutine that has finished an attempt
	dirty    map[string]uint64   // mailboxes that need a sync, and the devices that they are on
	untidy   map[string]struct{} // mailboxes that have got mail since they were tidied
	batch    <-chan time.Time    // when they get it
	synced   chan struct{}       // closed at the end of a sync under way; nil: there is none
	longest  time.Duration       // step of the retry schedule

	cleaning sync.WaitGroup

	done, deferrals int
}

func newSchedule(ctx context.Context, r *Runner, stay bool) *schedule {
	known := map[string]jobState{}
	return &schedule{r: r, stay: stay, attempt: ctx, known: known, back: map[string]string{},
		lanes: map[string]*lane{}, ready: map[turn][]*lane{}, deferred: deferredJobs{at: known},
		results: make(chan result), idle: make(chan job), dirty: map[string]uint64{}, untidy: map[string]struct{}{}}
}

// run works until nothing is left (Run) or ctx ends (Watch). Attempts under way are
// always finished.
func (s *schedule) run(ctx context.Context, events chan fsnotify.Event, errs chan error) error {
	defer s.r.Spool.log.Gather()()
	defer s.finishBatch()
	defer close(s.idle)
	// New mail does not wait for a look at all that is deferred.
	err := s.scan(stateNew)
	if err == nil && ctx.Err() == nil {
		s.start()
		err = s.scan(stateDeferred)
	}
	if err != nil {
		return s.finishAll(err)
	}
	defer s.cleaning.Wait()
	s.aside(s.r.clean)
	t := newTickers()
	defer t.stop()
	for {
		if ctx.Err() == nil {
			s.start()
		}
		if s.running == 0 {
			if ctx.Err() != nil {
				return nil
			}
			if !s.stay {
				// What arrived while we worked.
				if err := s.scan(stateNew); err != nil || !s.anyDue() {
					return err
				}
				continue
			}
		}
		s.await(ctx, events, errs, t)
	}
}

// await handles the next thing that happens.
func (s *schedule) await(ctx context.Context, events chan fsnotify.Event, errs chan error, t *tickers) {
	wake, stop := s.wake(ctx)
	defer stop()
	var look chan bool
	if ctx.Err() == nil && s.mayLook() {
		look = make(chan bool)
		close(look)
	}
	select {
	case <-look:
	case res := <-s.results:
		s.finish(res)
	case ev := <-events:
		s.arrive(ev)
		s.arriveAll(events)
	case <-errs: // most likely the queue of inotify has overflowed: look ourselves
		s.rescan(stateNew, stateDeferred)
	case <-t.rescan.C:
		s.rescan(stateNew)
	case <-t.truth.C:
		s.rescan(stateNew, stateDeferred)
	case <-t.clean.C:
		s.aside(s.r.clean)
		s.aside(s.tidy())
	case <-t.fit.C:
		s.aside(s.r.keepFit)
	case <-s.batch:
		s.sync()
	case <-s.synced:
		s.synced = nil
	case <-wake:
	case <-s.stopping(ctx):
	}
}

// tickers say when a schedule looks again.
type tickers struct{ rescan, truth, clean, fit *time.Ticker }

func newTickers() *tickers {
	return &tickers{time.NewTicker(rescanEvery), time.NewTicker(truthEvery), time.NewTicker(cleanEvery),
		time.NewTicker(fitEvery)}
}

func (t *tickers) stop() {
	for _, t := range []*time.Ticker{t.rescan, t.truth, t.clean, t.fit} {
		t.Stop()
	}
}

// stopping is ctx.Done while no attempt runs: those under way are waited for.
func (s *schedule) stopping(ctx context.Context) <-chan struct{} {
	if s.running > 0 {
		return nil
	}
	return ctx.Done()
}

func (s *schedule) anyDue() bool {
	return len(s.queue) > 0 || len(s.again) > 0 || s.queued > 0 || s.deferredIsDue(s.r.Spool.now().UnixNano())
}

// deferredIsDue reports whether the first of the deferred jobs is due.
func (s *schedule) deferredIsDue(now int64) bool {
	return s.deferred.Len() > 0 && s.deferred.list[0].due <= now
}

// wake fires when the next deferred entry is due. Once ctx has ended it does not,
// since nothing is started any more.
func (s *schedule) wake(ctx context.Context) (<-chan time.Time, func()) {
	if s.deferred.Len() == 0 || !s.stay || ctx.Err() != nil {
		return nil, func() {}
	}
	t := time.NewTimer(max(time.Unix(0, s.deferred.list[0].due).Sub(s.r.Spool.now()), 0))
	return t.C, func() { t.Stop() }
}

// aside cleans while the schedule goes on, since a large inbox takes a while.
func (s *schedule) aside(clean func()) {
	s.cleaning.Go(func() {
		if err := status.Guard(func() error { clean(); return nil }); err != nil {
			s.r.Spool.log.Trouble("", "clean", err)
		}
	})
}

// finishAll waits for the attempts under way and returns err.
func (s *schedule) finishAll(err error) error {
	for s.running > 0 {
		s.finish(<-s.results)
	}
	return err
}

// scan reads these states of the inbox: they are the truth. In a Run, what was tried
// already is known and left alone.
func (s *schedule) scan(states ...state) error {
	s.readLongest()
	for at, err := range s.r.inbox.spots(states...) {
		if err != nil {
			return err
		}
		s.add(at)
	}
	byName := func(a, b job) int { return strings.Compare(a.at.name, b.at.name) }
	slices.SortStableFunc(s.queue, byName)
	slices.SortStableFunc(s.again, byName)
	return nil
}

// rescan is a scan of a runner that stays: its failure is logged, not final.
func (s *schedule) rescan(states ...state) {
	if !s.stay {
		return // a Run scans when it has nothing left
	}
	if err := s.scan(states...); err != nil {
		s.r.Spool.log.Trouble("", "scan "+string(s.r.Inbox), err)
	}
}

// add notes a name, unless its entry is known: queued for when it is due.
func (s *schedule) add(at spot) {
	j := job{key: at.key(), at: at}
	id := j.id()
	if s.known[id] != 0 {
		if at.state == stateNew {
			s.hurry(id, at.name)
		}
		return
	}
	if at.state == stateDeferred && j.key != "" {
		j.due = s.due(j.key)
	}
	switch {
	case !j.due.After(s.r.Spool.now()):
		s.enqueue(j)
	case s.stay:
		s.deferJob(j)
	}
}

// enqueue queues a job that is due.
func (s *schedule) enqueue(j job) {
	s.notice(j)
	s.known[j.id()] = atWork
	if j.at.state == stateNew {
		s.queue = append(s.queue, j)
	} else {
		s.again = append(s.again, j)
	}
}

// notice tells that there is new work, once for the children of one split: they come in a row,
// and are one piece of work.
func (s *schedule) notice(j job) {
	split := Key("")
	if j.key.isChild() && j.at.state == stateNew {
		split = j.key.Root()
	}
	if s.r.Noticed != nil && (split == "" || split != s.split) {
		s.r.Noticed()
	}
	s.split = split
}

// deferJob keeps a job until it is due.
func (s *schedule) deferJob(j job) {
	heap.Push(&s.deferred, j.deferred())
}

// hurry makes a deferred entry due now that a person has moved back to new/.
func (s *schedule) hurry(id, name string) {
	i := int(s.known[id]) - 1
	if i < 0 { // at work
		return
	}
	if l := &s.deferred.list[i]; !l.isNew {
		l.due, l.name, l.isNew = 0, name, true
		heap.Fix(&s.deferred, i)
	}
}

// due returns when a deferred entry is due. One further off than the longest step
// of the retry schedule is due now: the clock was set back.
func (s *schedule) due(k Key) time.Time {
	due, _, err := s.r.inbox.due(k)
	if err != nil {
		return time.Time{}
	}
	if s.longest > 0 && due.Sub(s.r.Spool.now()) > s.longest+troubleDelay {
		return time.Time{}
	}
	return due
}

// readLongest notes the longest step of the retry schedule in force.
func (s *schedule) readLongest() {
	s.longest = 0
	if retry, err := s.r.Retry(); err == nil {
		s.longest = retry.Longest()
	}
}

// arriveAll takes what has arrived by now.
func (s *schedule) arriveAll(events chan fsnotify.Event) {
	for range maxEvents {
		select {
		case ev := <-events:
			s.arrive(ev)
		default:
			return
		}
	}
}

// arrive takes a new name from inotify.
func (s *schedule) arrive(ev fsnotify.Event) {
	if ev.Has(fsnotify.Create) {
		name := filepath.Base(ev.Name)
		if name[0] == '.' {
			return
		}
		at := spot{s.r.inbox, stateNew, name}
		j := job{key: at.key(), at: at}
		if id := j.id(); s.known[id] == atWork {
			s.back[id] = name // its attempt has not reported yet
			return
		}
		s.add(at)
	}
}
