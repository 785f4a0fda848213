package main

import (
	"fmt"
	"strings"
	"time"

	"paperpath/test/bench"
)

// figures are the measurements of one server in a row.
type figures struct {
	took []float64 // in the row's unit
	cpu  []float64 // processor time of the server for one piece of work, in seconds; may be empty
}

// compare takes the pairs of a row, in turn, after one of each that does not
// count.
func (b *comparison) compare(r *row) error {
	if !strings.Contains(r.name, b.only) {
		return nil
	}
	var ours, theirs figures
	for i := -1; i < r.pairs; i++ {
		for _, to := range []*figures{&ours, &theirs} {
			s := b.ours
			if to == &theirs {
				s = b.theirs
			}
			v, cpu, err := r.measure(s)
			if err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
			if i >= 0 {
				to.took, to.cpu = append(to.took, v), append(to.cpu, cpu)
			}
		}
	}
	b.table.add(r, ours, theirs)
	return nil
}

// measure takes one measurement. Beside it, it counts the server's processor
// time, which another program on the machine changes less than the clock.
func (r *row) measure(s *bench.Server) (v, cpu float64, err error) {
	if r.before != nil {
		if err := r.before(); err != nil {
			return 0, 0, err
		}
	}
	spent, begin := s.ProcessorTime(), time.Now()
	if v, err = r.take(s); err != nil {
		return 0, 0, err
	}
	pieces := time.Since(begin).Seconds() * 1e3 / v // v is milliseconds
	if r.faster {
		pieces = time.Since(begin).Seconds() * v // v is pieces a second
	}
	return v, s.Since(spent) / pieces, nil
}
