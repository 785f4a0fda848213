package spool

import "paperpath/internal/status"

// lane is what is due for one destination.
type lane struct {
	name    string
	jobs    []job
	running int
	listed  turn // where in ready it is
}

// turn is a list of lanes whose attempts may start.
type turn int

const (
	unlisted turn = iota
	ofOthers
	ofKnown // by Runner.Known
)

// maxApart is how many attempts for each worker may go on without holding it, unless the
// runner says how many there may be.
const maxApart = 4

// workers is how many attempts there may be at once, now.
func (r *Runner) workers() int {
	if r.Workers == nil {
		return 1
	}
	return max(r.Workers(), 1)
}

// apart is how many attempts may go on without a worker.
func (r *Runner) apart() int {
	if r.MaxApart == nil {
		return maxApart * r.workers()
	}
	return max(r.MaxApart(), 1)
}

// known reports whether a lane is one of those for which a fifth of the workers is kept.
func (r *Runner) known(lane string) bool { return r.Known != nil && r.Known(lane) }

// free reports whether there is a worker for a lane of that turn. Lanes that are known
// have a fifth of the workers, and of the places apart, for themselves.
func (s *schedule) free(t turn) bool {
	workers, apart := s.r.workers(), s.r.apart()
	switch {
	case t == ofKnown:
		apart += apart / 5
	case s.r.Known != nil:
		workers -= workers / 5
	}
	return s.running-s.apart < workers && s.running < workers+apart
}

// list queues a lane that has a job and may have another worker. One that has become
// known moves.
func (s *schedule) list(l *lane) {
	if l.listed == ofKnown || len(l.jobs) == 0 {
		return
	}
	if s.r.PerLane != nil {
		if most := s.r.PerLane(l.name); most > 0 && l.running >= most {
			return
		}
	}
	t := ofOthers
	if s.r.known(l.name) {
		t = ofKnown
	}
	if l.listed != t {
		l.listed = t
		s.ready[t] = append(s.ready[t], l)
	}
}

// pick takes the next lane for which a worker is free, from both lists in turn.
func (s *schedule) pick() *lane {
	s.turn = ofOthers + ofKnown - max(s.turn, ofOthers)
	for _, t := range []turn{s.turn, ofOthers + ofKnown - s.turn} {
		for len(s.ready[t]) > 0 && s.free(t) {
			l := s.ready[t][0]
			s.ready[t] = s.ready[t][1:]
			if l.listed == t { // else it has moved to the other list
				l.listed = unlisted
				return l
			}
		}
	}
	return nil
}

// maxOpen is how many entries that wait in lanes stay open for their attempts.
const maxOpen = 400

// laneOf looks the lane up. Entries that cannot be opened share one; their attempts
// will say why. The entry stays open for its attempt, which is most often the next.
func (s *schedule) laneOf(j *job) (name string) {
	if s.r.Lane == nil {
		return ""
	}
	err := status.Guard(func() error {
		e, err := j.at.open()
		if err != nil {
			return err
		}
		if s.open < maxOpen {
			s.open++
			j.open = e
		} else {
			defer e.close()
		}
		name = s.r.Lane(e)
		return nil
	})
	if status.Stack(err) != "" { // any other error its attempt will report
		s.r.Spool.log.Trouble(string(j.key), "lane", err)
	}
	return name
}
