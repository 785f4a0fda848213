package check

import (
	"cmp"
	"context"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/route"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// userCheck asks what the owners of mailboxes want of a sender. A recipient is refused only
// if every mailbox that it leads to denies the sender: what some of them want is the
// business of maildeliver.
type userCheck struct{}

// Name implements Check.
func (userCheck) Name() string { return "user" }

// Rcpt implements RcptCheck: at RCPT the reverse path alone is known.
func (userCheck) Rcpt(_ context.Context, m *Case, to spool.Recipient, q Query) Finding {
	if any, err := m.Control.HasUserChecks(); !any || err != nil {
		return failed(err)
	}
	denied, err := m.denied(to, route.Senders(m.Envelope.From.Addr, nil), q)
	if err != nil || !denied {
		return failed(err)
	}
	return failed(route.Unwanted())
}

// Ask implements Check, with From.
func (userCheck) Ask(_ context.Context, m *Case, q Query) Finding {
	if any, err := m.Control.HasUserChecks(); !any || err != nil {
		return failed(err)
	}
	senders := route.Senders(m.Envelope.From.Addr, m.Header)
	for _, to := range m.Envelope.To {
		if denied, err := m.denied(to, senders, q); err != nil || !denied {
			return failed(err)
		}
	}
	if len(m.Envelope.To) == 0 { // a filter may not know them
		return Finding{}
	}
	return failed(route.Unwanted())
}

// denied reports whether all mailboxes that a recipient leads to deny the senders.
func (m *Case) denied(to spool.Recipient, senders []string, q Query) (bool, error) {
	a, err := addr.Parse(to.Addr)
	if err != nil || route.ForEverybody(to.Addr) {
		return false, nil
	}
	targets, err := route.Resolve(m.Control, m.Envelope.From.Addr, a, nil)
	if status.IsTemporary(err) {
		return false, err
	}
	if err != nil {
		return false, nil // an unknown recipient is another's business
	}
	for _, t := range targets {
		if t.Kind != route.Local {
			return false, nil
		}
		wish, where, err := m.Control.UserWish(t.User.Address, senders)
		if err != nil {
			return false, err
		}
		q.Trail.Add("wish of "+t.User.Address, cmp.Or(string(wish), "none"), where)
		if wish != control.Deny {
			return false, nil
		}
	}
	return len(targets) > 0, nil
}
