package check

import (
	"context"

	"paperpath/internal/control"
	"paperpath/internal/maillog"
	"paperpath/internal/settle"
	"paperpath/internal/spool"
)

// Stage works the inbox check/: mail from local submitters, whose identity was
// checked when it was accepted.
type Stage struct {
	Checker *Checker
	Settle  func(e *spool.Entry, results []settle.Result) spool.Outcome
}

// Handle judges an entry: it goes on to route/, is returned, held, dropped or deferred.
func (s *Stage) Handle(ctx context.Context, e *spool.Entry) spool.Outcome {
	v := s.Checker.Message(ctx, Subject{Envelope: e.Envelope, With: e.With,
		SMTPPeer: e.FromSMTP() && !e.Trusted(), Trusted: e.Relay, Body: e.Message()}, nil)
	s.Checker.Record(string(e.Key), v, maillog.Client{})
	switch {
	case v.Action == control.CheckHold:
		return spool.HoldBecause(v.Reason())
	case v.Action == control.CheckDiscard:
		return spool.DropBecause(v.Reason())
	case v.Passes() && v.Changed:
		return spool.SplitInto(spool.Child{Inbox: spool.InboxRoute, From: v.Envelope.From,
			To: v.Envelope.To, Message: v.Body, Results: v.Results})
	case v.Passes():
		return spool.HandOnTo(spool.InboxRoute)
	}
	var results []settle.Result
	for _, i := range e.Pending() {
		results = append(results, settle.Result{Index: i, Err: v.Err})
	}
	return s.Settle(e, results)
}
