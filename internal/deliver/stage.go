// Package deliver puts messages into mailboxes: the entries of its inbox by
// way of the spool, and single messages as the MDA of another mail system.
package deliver

import (
	"context"
	"fmt"
	"slices"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/explain"
	"paperpath/internal/route"
	"paperpath/internal/settle"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// Stage is maildeliver at its inbox.
type Stage struct {
	Control *control.Control
	Home    string
	Now     func() time.Time
	Settle  func(e *spool.Entry, results []settle.Result) spool.Outcome
}

// Handle decides about an entry in deliver/. Aliases are expanded in route/
// alone and nothing goes back there: the recipient has a mailbox of its own, or
// the attempt has failed.
func (s *Stage) Handle(_ context.Context, e *spool.Entry) spool.Outcome {
	pending := e.Pending()
	if len(pending) == 0 {
		return spool.DropBecause("the recipient is done")
	}
	if len(e.Envelope.To) != 1 {
		return apart(e, pending)
	}
	path, err := s.mailbox(e)
	switch {
	case err != nil:
		return s.Settle(e, []settle.Result{{Index: 0, Err: err}})
	case settle.Wants(e, 0, "SUCCESS"):
		return s.Settle(e, []settle.Result{{Index: 0, Mailbox: path}})
	}
	return spool.DeliverTo(path)
}

// apart gives each recipient of an entry that a person moved here one of its
// own: an entry is renamed into one mailbox.
func apart(e *spool.Entry, pending []int) spool.Outcome {
	var children []spool.Child
	for _, i := range pending {
		to := e.Envelope.To[i : i+1]
		children = append(children, spool.Child{Inbox: spool.InboxDeliver, From: e.Envelope.From, To: to})
	}
	return spool.SplitInto(children...)
}

// mailbox returns the Maildir for the one recipient of e, made where it is
// missing.
func (s *Stage) mailbox(e *spool.Entry) (string, error) {
	a, err := addr.Parse(e.Envelope.To[0].Addr)
	if err != nil {
		return "", status.Refuse("5.1.3", "the recipient is no address")
	}
	u, err := Owner(s.Control, a, nil)
	if err != nil {
		return "", err
	}
	if u == nil {
		return "", s.missing(e, a)
	}
	if err := route.Looped(e, a); err != nil { // by way of an alias, or mailroute had said so
		return "", err
	}
	return Prepare(s.Home, u)
}

// Owner returns whose mailbox a is, aliases left aside; nil without an error
// where it is nobody's. Every error is temporary.
func Owner(c *control.Control, a addr.Address, t *explain.Trail) (*control.User, error) {
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

// missing is the error of a recipient without a mailbox. Where its mail would go
// elsewhere the tables may have changed since it was routed: for a day that is
// left to a person to say, for the message may have been there.
func (s *Stage) missing(e *spool.Entry, a addr.Address) error {
	targets, err := route.ResolveFor(s.Control, a, e, nil)
	if status.IsTemporary(err) {
		return err
	}
	dead := slices.ContainsFunc(targets, func(t route.Target) bool {
		return t.Kind == route.Unknown && t.Addr == a
	})
	if err == nil && !dead && s.Now().Sub(e.Arrival) < route.GracePeriod {
		return status.Temp("4.2.1", "no mailbox any more: "+a.String(),
			fmt.Errorf("its mail goes elsewhere now; to route this one afresh: mailctl queue reroute %s", e.Key))
	}
	return route.WithGrace(e, s.Now(), route.NoMailbox(a))
}
