package main

import (
	"fmt"
	"strings"
)

// killSweep runs the scenario once for each of its state-changing calls and kills the
// program there, before the call is made; then all that is queued is finished and
// counted.
func killSweep(p *pool, s *scenario) *row {
	r := &row{name: "kill: " + s.name}
	points := p.baseline(s, r, changing)
	p.each(r, points, func(w *worker, n int) {
		where := fmt.Sprintf("at change %d", n)
		var at *call
		point, err := w.point(s, nth(n, changing, &at, act{kill: true}))
		if err != nil {
			r.fail(where, err)
			return
		}
		if at == nil {
			return // this time it made fewer
		}
		allowed := s.twice != nil && s.twice(point.calls[:len(point.calls)-1], false)
		r.add(point.finding, allowed, fmt.Sprintf("%s (%v)", where, at))
	})
	return r
}

// changing is the filter of calls that change the world.
func changing(w *world, c *call) bool {
	return c.changes && (strings.HasPrefix(c.path, "socket:") || w.holds(c.path))
}

// holds reports whether path is in the world.
func (w *world) holds(path string) bool {
	return strings.HasPrefix(path, w.home) || strings.HasPrefix(path, w.far)
}

type filter func(*world, *call) bool

// nth makes a hook that acts at the n-th call that the filter lets through,
// and says in *at which that was.
func nth(n int, f filter, at **call, do act) func(*world) hook {
	return func(w *world) hook {
		return func(c *call) act {
			if !f(w, c) {
				return act{}
			}
			if n--; n == 0 {
				*at = c
				return do
			}
			return act{}
		}
	}
}

// pointResult is a step with its result and its verdict.
type pointResult struct {
	ran
	finding
}

// baseline runs the scenario without a fault, which must end well, and returns
// how many calls the filter lets through.
func (p *pool) baseline(s *scenario, r *row, f filter) (points int) {
	p.each(r, 1, func(w *worker, _ int) {
		var last *call
		point, err := w.point(s, func(world *world) hook {
			return func(c *call) act {
				if f(world, c) {
					points, last = points+1, c
				}
				return act{}
			}
		})
		switch {
		case err != nil:
			r.fail("without a fault", err)
		case !point.yes:
			r.fail("without a fault", fmt.Errorf("status %d, replies %q: %.300s", point.status, point.replies, point.stderr))
		case last == nil:
			r.fail("without a fault", fmt.Errorf("nothing was traced"))
		default:
			r.add(point.finding, false, "without a fault")
			return
		}
		points = 0
	})
	return points
}

// point runs one step with a hook, then settles everything and judges.
func (wk *worker) point(s *scenario, h func(*world) hook) (pointResult, error) {
	w, err := wk.world(s)
	if err != nil {
		return pointResult{}, err
	}
	defer w.close()
	r, err := w.step(s, h(w))
	p := pointResult{ran: r}
	if err != nil {
		return p, err
	}
	if r.hung {
		return p, fmt.Errorf("it hung")
	}
	if err := w.settle(s, r.yes); err != nil {
		return p, err
	}
	p.finding, err = w.judge(s, r.yes, false)
	return p, err
}
