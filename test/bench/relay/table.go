package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"paperpath/test/bench"
)

// table prints rows as they come, and notes what is wrong.
type table struct {
	out    io.Writer
	wrong  []string // fails the run
	missed []string // an aim, on this machine
}

func (t *table) head() {
	t.print("", "mailrelay", "Postfix", "faster", "(of all pairs)", "sessions", "transact.", "cpu ms/rcpt",
		"MiB", "")
}

func (t *table) print(words ...any) {
	fmt.Fprintf(t.out, "%-42s %9s %9s %6s %-15s %11s %11s %13s %6s  %s\n", words...)
}

// add takes the pairs of a row.
func (t *table) add(r *row, ours, theirs []result) {
	ratios := make([]float64, len(ours))
	for i := range ratios {
		ratios[i] = theirs[i].Seconds / ours[i].Seconds
	}
	both := func(figure func(float64) string, of func(result) float64) string {
		return figure(bench.Median(pick(ours, of))) + "/" + figure(bench.Median(pick(theirs, of)))
	}
	whole := func(v float64) string { return fmt.Sprintf("%.0f", v) }
	took := func(list []result) string {
		return bench.Figure(bench.Median(pick(list, func(x result) float64 { return x.Seconds }))) + " s"
	}
	t.check(r, slices.Concat(ours, theirs))
	t.print(r.name, took(ours), took(theirs), fmt.Sprintf("%.2f", bench.Median(ratios)),
		fmt.Sprintf("(%.2f to %.2f)", slices.Min(ratios), slices.Max(ratios)),
		both(whole, func(x result) float64 { return float64(x.Sessions) }),
		both(whole, func(x result) float64 { return float64(x.Transactions) }),
		both(bench.Figure, func(x result) float64 { return x.CPU * 1e3 / float64(max(x.Recipients, 1)) }),
		fmt.Sprintf("%.1f", peak(ours)), strings.Join(t.aims(r, ours, bench.Median(ratios)), ", "))
}

func peak(list []result) float64 {
	return slices.Max(pick(list, func(x result) float64 { return x.PeakMiB }))
}

// aims returns what was missed on this machine.
func (t *table) aims(r *row, ours []result, ratio float64) (verdicts []string) {
	missed := func(is bool, format string, args ...any) {
		if is {
			aim := fmt.Sprintf(format, args...)
			verdicts = append(verdicts, "MISSED: "+aim)
			t.missed = append(t.missed, r.name+": "+aim)
		}
	}
	took := bench.Median(pick(ours, func(x result) float64 { return x.Seconds }))
	most := int(slices.Max(pick(ours, func(x result) float64 { return float64(x.Transactions) })))
	missed(r.aim > 0 && ratio < r.aim, "%.2g times as fast", r.aim)
	missed(r.within > 0 && took > r.within, "%.2g s", r.within)
	missed(r.memory > 0 && peak(ours) > r.memory, "%.0f MiB", r.memory)
	missed(r.transactions > 0 && most > r.transactions, "%d transactions", r.transactions)
	return verdicts
}

// check notes what may be wrong on no machine.
func (t *table) check(r *row, list []result) {
	for _, x := range list {
		say := func(wrong bool, format string, args ...any) {
			if wrong {
				t.wrong = append(t.wrong, fmt.Sprintf("%s: %s: %s", r.name, x.Server, fmt.Sprintf(format, args...)))
			}
		}
		say(x.Twice > 0, "%d messages came twice", x.Twice)
		if x.Server == "Postfix" {
			continue
		}
		say(x.Missing > 0, "%d of %d did not come in time", x.Missing, r.awaited)
		say(r.generous > 0 && x.Seconds > r.generous, "%.1f s, and %.0f are allowed", x.Seconds, r.generous)
		say(r.memory > 0 && x.PeakMiB > r.memory, "%.1f MiB, and %.0f are allowed", x.PeakMiB, r.memory)
		say(r.transactions > 0 && x.Transactions > r.transactions,
			"%d transactions, and %d are allowed", x.Transactions, r.transactions)
	}
}

func pick(list []result, of func(result) float64) []float64 {
	all := make([]float64, len(list))
	for i, x := range list {
		all[i] = of(x)
	}
	return all
}

// end says in plain words what was missed, and whether anything was wrong.
func (t *table) end() bool {
	if len(t.missed) > 0 {
		fmt.Fprintf(t.out, "bench: %d aims missed%s\n", len(t.missed), bench.Names(t.missed))
	}
	if len(t.wrong) > 0 {
		fmt.Fprintf(t.out, "bench: FAILED%s\n", bench.Names(t.wrong))
	}
	return len(t.wrong) == 0
}
