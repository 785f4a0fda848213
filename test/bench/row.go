package bench

import "fmt"

// Row is a comparison: all entrants do the same work, in turn. The first one, Paperpath where it
// takes part, is compared with each of the others.
type Row struct {
	Name     string
	Unit     string // of what is measured
	Faster   bool   // a larger number is the better one
	Warm     bool   // a first turn does not count
	Turns    int    // at most; 0: as many as were asked for
	Entrants []Entrant
	Aims     []Aim   // one of them is enough
	Least    float64 // how often as good as the first peer Paperpath has to be for the run to pass
	Bounds   []Bound
}

// Ours is the name of the entrant of which something is wanted.
const Ours = "Paperpath"

// Entrant does the work of a row.
type Entrant struct {
	Name    string
	Measure func(turn int) (Result, error)
}

// Result is one measurement.
type Result struct {
	Value   float64            `json:"value"`   // in the row's unit
	Awaited int                `json:"awaited"` // messages that have to arrive, sessions that have to live; 0: nothing is counted
	Arrived int                `json:"arrived"`
	Twice   int                `json:"twice"` // messages that came more than once
	Figures map[string]float64 `json:"figures,omitempty"`
}

// trusted reports whether all messages arrived once.
func (x Result) trusted() bool { return x.Arrived == x.Awaited && x.Twice == 0 }

// amiss says what did not arrive as it should, "" if all did.
func (x Result) amiss() string {
	switch {
	case x.Twice > 0:
		return fmt.Sprintf("%d came twice", x.Twice)
	case x.Arrived != x.Awaited:
		return fmt.Sprintf("%d of %d came in time", x.Arrived, x.Awaited)
	}
	return ""
}

// Aim is how often as good as another entrant Paperpath wants to be.
type Aim struct {
	Beside string
	Times  float64
}

// Bound is a limit of what Paperpath may take.
type Bound struct {
	Figure string  // "": the value itself
	Aim    float64 // the most that is aimed at; 0: none
	Most   float64 // the most for the run to pass; 0: any
}

// of returns what the bound is about.
func (b Bound) of(x Result) float64 {
	if b.Figure == "" {
		return x.Value
	}
	return x.Figures[b.Figure]
}

// better is how often as good the first number is as the second.
func (r *Row) better(ours, theirs float64) float64 {
	if r.Faster {
		return ours / theirs
	}
	return theirs / ours
}
