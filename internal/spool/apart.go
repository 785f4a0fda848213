package spool

import (
	"context"
	"sync"
	"time"
)

// Apart tells the runner that the attempt with this context waits for something that may
// take long: it holds no worker until back is called. It may be called more than once in
// an attempt, at any time before its end. With any other context it does nothing.
func Apart(ctx context.Context) (back func()) {
	w, ok := ctx.Value(workerKey{}).(*worker)
	if !ok {
		return func() {}
	}
	w.away(1)
	return sync.OnceFunc(func() { w.away(-1) })
}

// workerKey finds the worker of an attempt in its context.
type workerKey struct{}

// worker is what an attempt holds.
type worker struct {
	s   *schedule
	job job

	mu    sync.Mutex
	apart int // reasons why it is not held
	ended bool
}

// away counts the reasons, and tells the schedule of the first and the end of the last.
func (w *worker) away(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return
	}
	before := w.apart > 0
	w.apart += n
	if now := w.apart > 0; now != before {
		w.s.results <- result{job: w.job, going: true, apart: now}
	}
}

// give has an attempt made by a goroutine that waits for one, or by a new one: in a burst the
// stack of each need grow only once.
func (s *schedule) give(j job) {
	select {
	case s.idle <- j:
	default:
		go func() {
			s.work(j)
			for {
				select {
				case j, more := <-s.idle:
					if !more {
						return
					}
					s.work(j)
				case <-time.After(idleTime):
					return
				}
			}
		}()
	}
}

// idleTime is how long a goroutine waits for another attempt.
const idleTime = time.Second

// work makes an attempt. One that takes longer than the runner's patience holds no
// worker any more.
func (s *schedule) work(j job) {
	w := &worker{s: s, job: j}
	if s.r.Patience > 0 {
		impatient := time.AfterFunc(s.r.Patience, func() { w.away(1) })
		defer impatient.Stop()
	}
	res := s.r.attempt(context.WithValue(s.attempt, workerKey{}, w), j)
	w.mu.Lock()
	defer w.mu.Unlock()
	res.apart, w.ended = w.apart > 0, true
	w.s.results <- res
}
