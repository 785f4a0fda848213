package main

import (
	"fmt"
	"io"
	"sync"
)

// row is a line of the table: the verdicts on the points of one scenario.
type row struct {
	name   string
	mu     sync.Mutex
	counts [wrong + 1]int
	failed int
	notes  []string // of what failed
	hidden int      // failures without a note
}

const maxNotes = 5

// add counts a point. allowed says that twice is in a window of spool(5) here.
func (r *row) add(f finding, allowed bool, where string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[f.verdict]++
	if f.verdict == once || f.verdict == twice && allowed {
		return
	}
	r.failed++
	if len(r.notes) == maxNotes {
		r.hidden++
		return
	}
	r.notes = append(r.notes, fmt.Sprintf("%s: %s", where, f.why))
}

// fail counts a point that could not be judged.
func (r *row) fail(where string, err error) { r.add(finding{wrong, err.Error()}, false, where) }

// bad reports whether a point has failed.
func (r *row) bad() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed > 0
}

func (r *row) points() (n int) {
	for _, c := range r.counts {
		n += c
	}
	return n
}

// table prints rows as they come and counts.
type table struct {
	out                     io.Writer
	passed, failed, skipped int
}

const rowFormat = "%-52s %7v %7v %6v %5v %5v %6v\n"

func (t *table) head() {
	fmt.Fprintf(t.out, rowFormat, "scenario", "points", "once", "twice", "lost", "torn", "wrong")
}

func (t *table) row(r *row) {
	fmt.Fprintf(t.out, rowFormat, r.name, r.points(), r.counts[once], r.counts[twice], r.counts[lost], r.counts[torn], r.counts[wrong])
	for _, n := range r.notes {
		fmt.Fprintf(t.out, "    FAILED %s\n", n)
	}
	if r.hidden > 0 {
		fmt.Fprintf(t.out, "    FAILED %d times more\n", r.hidden)
	}
	t.passed += r.points() - r.failed
	t.failed += r.failed
}

func (t *table) skip(name, why string) {
	fmt.Fprintf(t.out, "%-52s SKIPPED: %s\n", name, why)
	t.skipped++
}

func (t *table) end() {
	fmt.Fprintf(t.out, "%d passed, %d failed, %d skipped\n", t.passed, t.failed, t.skipped)
}
