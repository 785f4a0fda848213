package spool

import (
	"time"

	"paperpath/internal/status"
)

// lane is what is due for one destination.
type lane struct {
	name    string
	jobs    []job
	running int
	listed  bool // in ready
}

// maxSlow is how many attempts for each worker may go on without holding it.
const maxSlow = 4

// workers is how many attempts there may be at once, now.
func (r *Runner) workers() int {
	if r.Workers == nil {
		return 1
	}
	return max(r.Workers(), 1)
}

// free reports whether a worker is free. An attempt that has used up the runner's
// patience holds none: it only waits for another host.
func (s *schedule) free() bool {
	workers := s.r.workers()
	return s.running-s.slow < workers && s.running < (1+maxSlow)*workers
}

// work makes an attempt, and reports twice where that takes long.
func (s *schedule) work(j job) {
	if s.r.Patience <= 0 {
		s.results <- s.r.attempt(s.attempt, j)
		return
	}
	done := make(chan result, 1)
	go func() { done <- s.r.attempt(s.attempt, j) }()
	patience := time.NewTimer(s.r.Patience)
	defer patience.Stop()
	select {
	case res := <-done:
		s.results <- res
	case <-patience.C:
		s.results <- result{job: j, slow: true, going: true}
		res := <-done
		res.slow = true
		s.results <- res
	}
}

// list queues a lane that has a job and may have another worker.
func (s *schedule) list(l *lane) {
	if l.listed || len(l.jobs) == 0 {
		return
	}
	if s.r.PerLane != nil {
		if most := s.r.PerLane(l.name); most > 0 && l.running >= most {
			return
		}
	}
	l.listed = true
	s.ready = append(s.ready, l)
}

// laneOf looks the lane up. Entries that cannot be opened share one; their attempts
// will say why.
func (s *schedule) laneOf(j job) (name string) {
	if s.r.Lane == nil {
		return ""
	}
	err := status.Guard(func() error {
		e, err := j.at.open()
		if err != nil {
			return err
		}
		defer e.close()
		name = s.r.Lane(e)
		return nil
	})
	if status.Stack(err) != "" { // any other error its attempt will report
		s.r.Spool.log.Trouble(string(j.key), "lane", err)
	}
	return name
}
