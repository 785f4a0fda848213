package pop3

import (
	"fmt"
	"time"

	"paperpath/test/bench"
)

// work is what a server does for one measurement.
type work struct {
	before func() error // outside the time; may be nil
	take   func(*bench.Server) (float64, error)
	rate   bool // take returns how often a second, else how many milliseconds it took
}

// row compares pop3d with Dovecot, after a turn of each that does not count. It aims to be so
// often as good.
func (b *comparison) row(aim float64, w work, format string, args ...any) *bench.Row {
	return &bench.Row{
		Name: "pop3: " + fmt.Sprintf(format, args...), Unit: "ms", Warm: true, Least: allowed,
		Aims: []bench.Aim{{Beside: "Dovecot", Times: aim}},
		Entrants: []bench.Entrant{
			{Name: bench.Ours, Measure: func(int) (bench.Result, error) { return w.measure(b.ours) }},
			{Name: "Dovecot", Measure: func(int) (bench.Result, error) { return w.measure(b.theirs) }},
		},
	}
}

// measure takes one measurement. Beside it, it counts the server's processor
// time, which another program on the machine changes less than the clock.
func (w work) measure(s *bench.Server) (res bench.Result, err error) {
	if w.before != nil {
		if err := w.before(); err != nil {
			return res, err
		}
	}
	spent, begin := s.ProcessorTime(), time.Now()
	if res.Value, err = w.take(s); err != nil {
		return res, err
	}
	pieces := time.Since(begin).Seconds() * 1e3 / res.Value
	if w.rate {
		pieces = time.Since(begin).Seconds() * res.Value
	}
	res.Figures = map[string]float64{"cpu ms": s.Since(spent) * 1e3 / pieces}
	return res, nil
}
