package main

import (
	"fmt"
	"io"
	"slices"

	"paperpath/test/bench"
)

// table prints rows as they come, and counts.
type table struct {
	out                        io.Writer
	rows, ahead, aims, reached int
	behind, short, far         []string
}

func (t *table) head() {
	fmt.Fprintf(t.out, "%-52s %-11s %9s %9s %6s %-15s %6s\n", "", "median of", "pop3d", "Dovecot", "better", "(of all pairs)", "cpu")
}

// add takes the pairs of a row.
func (t *table) add(r *row, ours, theirs figures) {
	ratios := make([]float64, len(ours.took))
	for i := range ratios {
		ratios[i] = r.better(ours.took[i], theirs.took[i])
	}
	ratio := bench.Median(ratios)
	verdict := "ahead"
	t.rows++
	switch {
	case ratio < 1:
		verdict = "BEHIND"
		t.behind = append(t.behind, r.name)
	case ratio < r.aim:
		verdict = fmt.Sprintf("ahead, aim %g", r.aim)
	}
	if ratio >= 1 {
		t.ahead++
	}
	if r.aim > 1 {
		t.aims++
		if ratio >= r.aim {
			t.reached++
		} else {
			t.short = append(t.short, r.name)
		}
	}
	if ratio < allowed {
		t.far = append(t.far, r.name)
	}
	fmt.Fprintf(t.out, "%-52s %-11s %9s %9s %6.2f %-15s %6s  %s%s\n", r.name, r.unit, bench.Figure(bench.Median(ours.took)), bench.Figure(bench.Median(theirs.took)),
		ratio, fmt.Sprintf("(%.2f to %.2f)", slices.Min(ratios), slices.Max(ratios)), processor(ours.cpu, theirs.cpu), verdict, r.note)
}

// processor is how often our processor time goes into Dovecot's.
func processor(ours, theirs []float64) string {
	ratios := make([]float64, len(ours))
	for i := range ratios {
		ratios[i] = theirs[i] / ours[i]
	}
	if len(ratios) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", bench.Median(ratios))
}

// end is the plain line.
func (t *table) end() {
	fmt.Fprintf(t.out, "bench-pop3: %d of %d rows ahead of Dovecot, %d behind%s; %d of the %d that aim at twice as good reach it%s\n",
		t.ahead, t.rows, len(t.behind), bench.Names(t.behind), t.reached, t.aims, bench.Names(t.short))
}
