// Package deliver puts messages into mailboxes: the entries of its inbox through the
// spool, and single messages as the MDA of another mail system.
package deliver

import (
	"context"
	"fmt"
	"slices"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/explain"
	"paperpath/internal/full"
	"paperpath/internal/maillog"
	"paperpath/internal/route"
	"paperpath/internal/settle"
	"paperpath/internal/spool"
	"paperpath/internal/status"
	"paperpath/maildir"
)

// Stage is maildeliver at its inbox.
type Stage struct {
	Control *control.Control
	Home    string
	Now     func() time.Time
	Log     *maillog.Log
	Full    *full.Marks
	Answers answers
	Owners  Owners // of mailboxes of other users; nil: these wait
	Settle  func(e *spool.Entry, results []settle.Result) spool.Outcome

	bases maildir.Bases // on the way to mailboxes a moment ago
	root  mailRoot
}

// Lane returns the user whom an entry is for, by the address alone: senders choose the extension.
func (s *Stage) Lane(e *spool.Entry) string {
	if len(e.Envelope.To) == 0 {
		return ""
	}
	to, err := addr.Parse(e.Envelope.To[0].Addr)
	if err != nil {
		return ""
	}
	delimiters, err := s.Control.Delimiters()
	if err != nil {
		delimiters = ""
	}
	return addr.FoldAddress(to.User(delimiters).String())
}

// Handle decides about an entry in deliver/. Only route/ expands aliases, and nothing
// goes back there: either the recipient has a mailbox of its own, or the attempt
// fails.
func (s *Stage) Handle(ctx context.Context, e *spool.Entry) spool.Outcome {
	pending := e.Pending()
	if len(pending) == 0 {
		return spool.DropBecause("the recipient is done")
	}
	if len(e.Envelope.To) != 1 {
		return splitRecipients(e, pending)
	}
	o, err := s.decide(ctx, e)
	if err != nil {
		return s.Settle(e, []settle.Result{{Index: 0, Err: err}})
	}
	return o
}

// splitRecipients gives each recipient of an entry that a person moved here an entry of
// its own, since an entry is renamed into one mailbox.
func splitRecipients(e *spool.Entry, pending []int) spool.Outcome {
	var children []spool.Child
	for _, i := range pending {
		to := e.Envelope.To[i : i+1]
		children = append(children, spool.Child{Inbox: spool.InboxDeliver, From: e.Envelope.From, To: to})
	}
	return spool.SplitInto(children...)
}

func (s *Stage) quotas() quotas {
	return quotas{control: s.Control, full: s.Full, log: s.Log, now: s.Now}
}

// owner returns the user whose mailbox a is, whatever aliases say; nil without an error
// if there is no such mailbox. Every error is temporary.
func owner(c *control.Control, a addr.Address, t *explain.Trail) (*control.User, error) {
	where, local, err := c.IsLocal(a.Domain)
	if err != nil {
		return nil, err
	}
	if !local {
		t.Add("domain "+a.Domain, "remote", "not in control/domains")
		return nil, nil
	}
	t.Add("domain "+a.Domain, "local", where)
	u, err := route.Mailbox(c, a)
	if err == nil && u == nil {
		t.Add("mailbox "+a.String(), "unknown", "control/users")
	} else if err == nil {
		t.Add("mailbox "+a.String(), u.Home, u.Where)
	}
	return u, err
}

// noMailbox is the error of a recipient without a mailbox. If its mail would go
// elsewhere, the tables may have changed since it was routed. A person has a day to
// reroute it; the program must not, for the message may have been there before.
func (s *Stage) noMailbox(e *spool.Entry, a addr.Address) error {
	targets, err := route.ResolveFor(s.Control, a, e, nil)
	if status.IsTemporary(err) {
		return err
	}
	unknown := slices.ContainsFunc(targets, func(t route.Target) bool {
		return t.Kind == route.Unknown && t.Addr == a
	})
	if err == nil && !unknown && s.Now().Sub(e.Arrival) < route.GracePeriod {
		return status.Temp("4.2.1", "the mailbox no longer exists: "+a.String(),
			fmt.Errorf("mail for the address now goes elsewhere; to route this message again: mailctl queue reroute %s", e.Key))
	}
	return route.WithGrace(e, s.Now(), route.NoMailbox(a))
}
