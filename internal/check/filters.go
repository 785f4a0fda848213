package check

import (
	"context"
	"fmt"
	"strings"

	"paperpath/internal/control"
	"paperpath/internal/message"
	"paperpath/internal/status"
)

// filtersName is the row of control/checks for all filters of other people. Which ones
// there are is in control/filters.
const filtersName = "filters"

// filters are the checks that ask other people's filters, in the order of control/filters.
func (s *Session) filters() []Check {
	list, err := s.Control.Filters()
	if err != nil {
		return []Check{noFilters{err}}
	}
	var all []Check
	for _, f := range list {
		all = append(all, s.filter(f))
	}
	return all
}

// filter is the check that asks one.
func (k *Checker) filter(f control.Filter) Check {
	switch f.Kind {
	case control.FilterProgram:
		return &programFilter{Filter: f, log: k.Log}
	case control.FilterMilter:
		return &milterFilter{row: f}
	}
	return noFilters{status.Temp("4.3.0", "the filter "+f.Name+" cannot be asked", nil)}
}

// noFilters stands for filters that cannot be read: what they would say is not known.
type noFilters struct{ err error }

// Name implements Check.
func (noFilters) Name() string { return filtersName }

// Ask implements Check.
func (n noFilters) Ask(context.Context, *Case, Query) Finding { return Finding{Err: n.err} }

// concerns reports whether a filter sees the message.
func concerns(f control.Filter, m *Case) bool {
	ours := m.submitted() || m.Trusted
	switch f.For {
	case control.ForOutside:
		return !ours
	case control.ForSubmitted:
		return ours
	}
	return true
}

// missingField says that a filter of that name gave no answer.
const missingField = "X-Filter-Missing"

// away is the finding where a filter gives no answer.
func away(f control.Filter, m *Case, why error) Finding {
	found := Finding{Result: "temperror", Reason: f.Name + ": it gives no answer"}
	switch f.Away {
	case control.AwayTempfail:
		found.Err = status.Temp("4.7.1", "a mail filter gives no answer, try again later", why)
	case control.AwayTag:
		change, err := m.insert(missingField + ": " + f.Name + "\n")
		if err != nil {
			return Finding{Err: err}
		}
		found.Changed = change
	}
	return found
}

// insert is the message with header fields on top: below our Received, and part of it when
// it leaves. What cannot be a header below them is made into one, or gets the blank line
// that it lacks, as by the spool.
func (m *Case) insert(fields string) (*Change, error) {
	if m.Header != nil && m.Header.CRLF {
		fields = strings.ReplaceAll(fields, "\n", "\r\n")
	}
	edits, _, err := message.Leading(m.Body, m.Body.Size())
	if err != nil {
		return nil, fmt.Errorf("read the message: %w", err)
	}
	var p message.Pieces
	p.Text(fields)
	p.Edited(m.Body, m.Body.Size(), edits)
	return &Change{Body: &p, Envelope: m.Envelope}, nil
}
