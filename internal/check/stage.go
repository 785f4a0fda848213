package check

import (
	"context"
	"fmt"

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
	received, err := receivedOf(e)
	if err != nil {
		return s.settle(e, err)
	}
	checks := s.Checker.Session()
	e.AtEnd(checks.Close) // a changed message is read until then
	v := checks.Message(ctx, Subject{Envelope: e.Envelope, With: e.With, Key: string(e.Key), Received: received,
		SMTPPeer: e.FromSMTP() && !e.Trusted(), Trusted: e.Relay, Body: e.Message()}, nil)
	s.Checker.Record(s.Checker.Log, string(e.Key), v, maillog.Client{})
	switch {
	case v.Action == control.CheckHold:
		return spool.HoldBecause(v.Reason())
	case v.Action == control.CheckDiscard:
		return spool.DropBecause(v.Reason())
	case v.Passes() && (v.Changed || v.Action.Worse(control.CheckAccept) && len(v.Results) > 0):
		// Who delivers it reads the verdict in the results.
		return spool.SplitInto(childOf(v))
	case v.Passes():
		return spool.HandOnTo(spool.InboxRoute)
	}
	return s.settle(e, v.Err)
}

func (s *Stage) settle(e *spool.Entry, err error) spool.Outcome {
	var results []settle.Result
	for _, i := range e.Pending() {
		results = append(results, settle.Result{Index: i, Err: err})
	}
	return s.Settle(e, results)
}

// receivedOf is our field in the entry.
func receivedOf(e *spool.Entry) (string, error) {
	ours := e.Content()
	text := make([]byte, ours.Size()-e.Message().Size())
	if _, err := ours.ReadAt(text, 0); err != nil {
		return "", fmt.Errorf("read the entry: %w", err)
	}
	return string(text), nil
}

// childOf is the entry that a message becomes which filters have changed, or which has a
// verdict to carry.
func childOf(v Verdict) spool.Child {
	return spool.Child{Inbox: spool.InboxRoute, From: v.Envelope.From, To: v.Envelope.Pending(),
		Message: v.Body, Results: v.Results}
}
