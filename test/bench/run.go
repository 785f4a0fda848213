package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"paperpath/test/harness"
)

// Part is a group of rows that use the same servers. The names of its rows begin with its
// name and a colon.
type Part struct {
	Name    string
	Missing func() string // what the machine lacks, "" if nothing
	Measure func(*Run) error
}

// Run is one run of the benchmark: what was asked for, and what has been measured.
type Run struct {
	Short    bool
	Only     string
	Turns    int
	Dir      string // for everything that the servers write
	Programs harness.Programs
	Lines    io.Writer // gets a line of JSON for each measurement
	Progress io.Writer

	table Table
}

// Wants reports whether a row was asked for.
func (r *Run) Wants(row string) bool { return strings.Contains(row, r.Only) }

// Part measures a part. What it could not measure fails the run.
func (r *Run) Part(p Part) {
	if part, _, whole := strings.Cut(r.Only, ":"); whole && part != p.Name {
		return
	}
	if missing := p.Missing(); missing != "" {
		r.table.missing = append(r.table.missing, p.Name+": "+missing)
		return
	}
	if err := p.Measure(r); err != nil {
		r.table.wrong = append(r.table.wrong, fmt.Sprintf("%s: %v", p.Name, err))
	}
}

// Lacks notes a peer that is not there.
func (r *Run) Lacks(what string) { r.table.missing = append(r.table.missing, what) }

// enough is how many turns a row may have in which Paperpath is far behind in all.
const enough = 3

// Compare measures a row if it was asked for. Where Paperpath is far behind, a busy machine may
// be to blame: there are more turns then, until enough.
func (r *Run) Compare(row *Row) error {
	if !r.Wants(row.Name) {
		return nil
	}
	began, first, turns := time.Now(), 0, r.Turns
	if row.Turns > 0 {
		turns = min(turns, row.Turns)
	}
	if row.Warm {
		first = -1
	}
	results := make([][]Result, len(row.Entrants))
	for turn := first; turn < turns || turn < enough && (measured{row: row, results: results}).farBehind(); turn++ {
		for i, e := range row.Entrants {
			x, err := e.Measure(turn)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", row.Name, e.Name, err)
			}
			if turn < 0 {
				continue
			}
			results[i] = append(results[i], x)
			if err := r.note(row, e.Name, turn, x); err != nil {
				return err
			}
		}
	}
	r.table.add(row, results)
	fmt.Fprintf(r.Progress, "%s: %v\n", row.Name, time.Since(began).Round(100*time.Millisecond))
	return nil
}

// CompareAll measures rows; one that fails does not hold up the others.
func (r *Run) CompareAll(rows []*Row) error {
	var all error
	for _, row := range rows {
		all = errors.Join(all, r.Compare(row))
	}
	return all
}

// note writes a line of JSON.
func (r *Run) note(row *Row, entrant string, turn int, x Result) error {
	return json.NewEncoder(r.Lines).Encode(struct {
		Row    string `json:"row"`
		Unit   string `json:"unit"`
		Server string `json:"server"`
		Turn   int    `json:"turn"`
		Result
	}{row.Name, row.Unit, entrant, turn, x})
}

// End prints the table, and reports whether nothing was wrong. With CI=true it is wrong
// that something was not there to compare with.
func (r *Run) End(out io.Writer) bool {
	if r.table.missing != nil && os.Getenv("CI") == "true" {
		r.table.wrong = append(r.table.wrong, r.table.missing...)
	}
	return r.table.print(out)
}
