// Package explain records how a stage reached its decision, for the verb explain of every
// program.
package explain

import (
	"fmt"
	"io"

	"paperpath/internal/visible"
)

// Step is one decision: the question, the answer, and the file:line or lookup that it
// came from.
type Step struct {
	Decision string `json:"decision"`
	Value    string `json:"value"`
	Source   string `json:"source,omitempty"`
}

// Trail is the list of decisions and the outcome that they lead to. A nil *Trail records
// nothing, so that the same code decides and explains.
type Trail struct {
	Steps   []Step `json:"steps"`
	Outcome string `json:"outcome"`
}

// Add appends a step.
func (t *Trail) Add(decision, value, source string) {
	if t != nil {
		t.Steps = append(t.Steps, Step{decision, value, source})
	}
}

// End records the outcome.
func (t *Trail) End(outcome string) {
	if t != nil {
		t.Outcome = outcome
	}
}

// Write prints the trail: a line `decision: value (source)` for each step and
// `=> outcome` at the end if there is one, or all of it as one line of JSON.
func (t *Trail) Write(w io.Writer, asJSON bool) error {
	if asJSON {
		all := *t
		if all.Steps == nil {
			all.Steps = []Step{} // a list, for programs that read it
		}
		return visible.JSON(w, all)
	}
	for _, s := range t.Steps {
		line := s.Decision + ": " + s.Value
		if s.Source != "" {
			line += " (" + s.Source + ")"
		}
		if _, err := fmt.Fprintln(w, visible.Line(line)); err != nil {
			return err
		}
	}
	if t.Outcome == "" {
		return nil
	}
	_, err := fmt.Fprintln(w, "=> "+visible.Line(t.Outcome))
	return err
}
