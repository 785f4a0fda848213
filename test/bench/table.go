package bench

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Table collects the rows of a run, and what is wrong with them.
type Table struct {
	rows    []measured
	aims    int
	missed  []string // an aim, on this machine
	behind  []string // rows in which the first peer is better
	wrong   []string // fails the run
	missing []string // what there was nothing to compare with
}

// measured is a row with what was measured.
type measured struct {
	row     *Row
	results [][]Result // of each entrant, by turn
	verdict string
}

// add takes the results of a row.
func (t *Table) add(row *Row, results [][]Result) {
	m := measured{row: row, results: results}
	for i, e := range row.Entrants {
		for _, x := range results[i] {
			// A peer's mail that is late costs the peer its place alone.
			if x.Twice > 0 || !x.trusted() && e.Name == Ours {
				t.wrong = append(t.wrong, fmt.Sprintf("%s: %s: %s", row.Name, e.Name, x.amiss()))
			}
		}
	}
	t.bounds(&m)
	t.judge(&m)
	t.rows = append(t.rows, m)
}

// bounds compares the results of Paperpath with its limits.
func (t *Table) bounds(m *measured) {
	for _, b := range m.row.Bounds {
		name := b.Figure
		if name == "" {
			name = m.row.Unit
		}
		values := pick(m.of(Ours), b.of)
		if most := slices.Max(values); b.Most > 0 && most > b.Most {
			t.wrong = append(t.wrong, fmt.Sprintf("%s: %s %s, and %s are allowed", m.row.Name, Figure(most), name, Figure(b.Most)))
		}
		if b.Aim > 0 {
			t.aimed(m, Median(values) <= b.Aim, fmt.Sprintf("%s %s", Figure(b.Aim), name))
		}
	}
}

// judge compares Paperpath with its peers.
func (t *Table) judge(m *measured) {
	if len(m.row.Entrants) < 2 || m.row.Entrants[0].Name != Ours {
		return
	}
	if ratios := m.ratios(1); ratios != nil {
		first := m.row.Entrants[1].Name
		ratio := Median(ratios)
		if ratio < 1 {
			t.behind = append(t.behind, m.row.Name)
		}
		if m.farBehind() {
			t.wrong = append(t.wrong, fmt.Sprintf("%s: at best %.2f times as good as %s, and %g is demanded", m.row.Name, slices.Max(ratios), first, m.row.Least))
		}
	}
	reached, judged := false, false
	var words []string
	for i, e := range m.row.Entrants {
		for _, aim := range m.row.Aims {
			if aim.Beside != e.Name || m.ratios(i) == nil {
				continue
			}
			judged = true
			reached = reached || Median(m.ratios(i)) >= aim.Times
			words = append(words, fmt.Sprintf("%g x %s", aim.Times, e.Name))
		}
	}
	if judged {
		t.aimed(m, reached, strings.Join(words, " or "))
	}
}

// aimed notes whether an aim was reached.
func (t *Table) aimed(m *measured, reached bool, aim string) {
	t.aims++
	word := "reached"
	if !reached {
		word = "MISSED"
		t.missed = append(t.missed, m.row.Name+": "+aim)
	}
	m.verdict += fmt.Sprintf("  %s: %s", word, aim)
}

// of returns the results of an entrant.
func (m measured) of(name string) []Result {
	for i, e := range m.row.Entrants {
		if e.Name == name {
			return m.results[i]
		}
	}
	return nil
}

// ratios is how often as good as entrant i the first one was, turn by turn; nil if one of them
// is not to be trusted.
func (m measured) ratios(i int) (all []float64) {
	for turn, x := range m.results[i] {
		ours := m.results[0][turn]
		if !x.trusted() || !ours.trusted() {
			return nil
		}
		all = append(all, m.row.better(ours.Value, x.Value))
	}
	return all
}

// farBehind reports whether Paperpath is worse beside the first peer than the row demands. Noise
// alone does not fail a run: the best turn decides.
func (m measured) farBehind() bool {
	if len(m.row.Entrants) < 2 || m.row.Entrants[0].Name != Ours {
		return false
	}
	ratios := m.ratios(1)
	return ratios != nil && slices.Max(ratios) < m.row.Least
}

// print writes all of it, and in plain words what was missed. It returns whether nothing was wrong.
func (t *Table) print(out io.Writer) bool {
	for _, m := range t.rows {
		fmt.Fprintf(out, "%s, %s%s\n", m.row.Name, m.row.Unit, m.verdict)
		for i := range m.row.Entrants {
			fmt.Fprintln(out, m.line(i))
		}
	}
	fmt.Fprintf(out, "bench: %d rows, in %d of them the first peer is better%s; %d aims, %d missed%s\n",
		len(t.rows), len(t.behind), Names(t.behind), t.aims, len(t.missed), Names(t.missed))
	if t.missing != nil {
		fmt.Fprintf(out, "bench: not everything was compared. MISSING%s\n", Names(t.missing))
	}
	if t.wrong != nil {
		fmt.Fprintf(out, "bench: FAILED%s\n", Names(t.wrong))
	}
	return t.wrong == nil
}

// line is what the table has of an entrant: its median, how often as good the first one is, and
// the medians of all other figures.
func (m measured) line(i int) string {
	e, list := m.row.Entrants[i], m.results[i]
	for _, x := range list {
		if !x.trusted() {
			return fmt.Sprintf("    %-24s %9s  %s", e.Name, "-", x.amiss())
		}
	}
	ratio := ""
	if ratios := m.ratios(i); i > 0 && ratios != nil {
		ratio = fmt.Sprintf("%.2f (%.2f to %.2f)", Median(ratios), slices.Min(ratios), slices.Max(ratios))
	}
	var more []string
	for _, name := range slices.Sorted(maps.Keys(list[0].Figures)) {
		more = append(more, name+" "+Figure(Median(pick(list, func(x Result) float64 { return x.Figures[name] }))))
	}
	line := fmt.Sprintf("    %-24s %9s  %-22s %s", e.Name, Figure(m.median(i)), ratio, strings.Join(more, ", "))
	return strings.TrimRight(line, " ")
}

// median is the middle of what an entrant reached.
func (m measured) median(i int) float64 {
	return Median(pick(m.results[i], func(x Result) float64 { return x.Value }))
}

// pick returns one number of each result.
func pick(list []Result, of func(Result) float64) []float64 {
	all := make([]float64, len(list))
	for i, x := range list {
		all[i] = of(x)
	}
	return all
}
