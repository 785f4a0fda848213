package route

import (
	"context"
	"slices"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/maillog"
	"paperpath/internal/settle"
	"paperpath/internal/spool"
)

// Stage is mailroute at its inbox.
type Stage struct {
	Control *control.Control
	Settle  func(e *spool.Entry, results []settle.Result) spool.Outcome
	Now     func() time.Time
	Log     *maillog.Log
}

// Handle decides about an entry in route/. Recipients that have a destination go on
// at once; those that fail are settled separately.
func (s *Stage) Handle(_ context.Context, e *spool.Entry) spool.Outcome {
	if len(e.Pending()) == 0 {
		return spool.DropBecause("all recipients are done")
	}
	d := Decide(s.Control, e, s.Now(), nil)
	if d.Kept != nil {
		s.Log.NotRewritten(string(e.Key), e.Envelope.From.Addr, d.Kept.Error())
	}
	if d.HandOn == spool.InboxHold {
		return spool.HoldBecause(d.Reason)
	}
	if d.HandOn != "" {
		return spool.HandOnTo(d.HandOn)
	}
	if failed := s.tooLarge(e, d.Children); failed != nil {
		return s.Settle(e, failed)
	}
	if len(d.Failed) == 0 {
		return spool.SplitInto(d.Children...)
	}
	var results []settle.Result
	for _, i := range d.Routed {
		results = append(results, settle.Result{Index: i})
	}
	for _, f := range d.Failed {
		results = append(results, settle.Result{Index: f.Index, Err: f.Err})
	}
	o := s.Settle(e, results)
	o.Children = append(d.Children, o.Children...)
	// A recipient that has a child is done, however the others were settled:
	// otherwise the next attempt would send it again.
	for _, i := range d.Routed {
		if !slices.Contains(o.Done, i) {
			o.Done = append(o.Done, i)
		}
	}
	return o
}
