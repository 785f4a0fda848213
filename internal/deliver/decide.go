package deliver

import (
	"context"
	"os"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/route"
	"paperpath/internal/rules"
	"paperpath/internal/settle"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// decide is the outcome for an entry with one recipient.
func (s *Stage) decide(ctx context.Context, e *spool.Entry) (o spool.Outcome, err error) {
	if o, done, err := s.command(ctx, e); done || err != nil {
		return o, err
	}
	a, u, err := s.recipient(e)
	if err != nil {
		return o, err
	}
	if _, err := maildirOf(s.Home, u); err != nil { // before anything of a user's is read
		return o, err
	}
	d, err := rules.Open(u.Home, os.Geteuid())
	if err != nil {
		return o, err
	}
	defer d.Close()
	r, err := d.Find(extension(u, a))
	if err != nil {
		return o, err
	}
	delimiters, err := s.Control.Delimiters()
	if err != nil {
		return o, err
	}
	rest := s.own(e, u, a)
	rest.delimiters = delimiters
	var b box
	rest.ready = func(p plan) (err error) {
		if p.store {
			b, err = s.room(e, u, a)
		}
		for _, path := range p.copies {
			if err == nil {
				err = prepareOther(u, path)
			}
		}
		return err
	}
	p, err := rest.plan(ctx, r)
	if err != nil {
		return o, err
	}
	switch {
	case !p.store: // a program may have said so, after there was room
		b = box{}
	case b.path == "":
		if b, err = s.room(e, u, a); err != nil {
			return o, err
		}
	}
	o = s.outcome(e, p, b)
	o.Copies, o.Children = p.rest(), append(o.Children, p.children(e)...)
	o.Replies = append(o.Replies, b.replies...)
	if r == nil || !r.List && !r.ForwardOnly { // who writes to a list does not write to its user
		o.Replies = append(o.Replies, s.vacation(e, d, u, a)...)
	}
	return o, nil
}

// outcome is what becomes of the entry itself.
func (s *Stage) outcome(e *spool.Entry, p plan, b box) (o spool.Outcome) {
	wants := settle.Wants(e, 0, "SUCCESS")
	if p.store {
		o = spool.DeliverTo(b.path, b.others...)
	} else if n := len(p.copies); n > 0 { // the last one gets the entry itself
		o = spool.DeliverTo(p.copies[n-1])
		b = box{path: p.copies[n-1]}
	}
	if o.Action == spool.Deliver && wants {
		return s.Settle(e, []settle.Result{{Index: 0, Mailbox: b.path, Others: b.others}})
	} else if o.Action == spool.Deliver {
		return o
	}
	o = spool.DropBecause("done as the recipient's rules say")
	if wants && (p.ran || p.from != nil) { // what a list sends on asks for no reports
		o.Notices = s.Settle(e, []settle.Result{{Index: 0, Mailbox: "-"}}).Notices
	}
	return o
}

// recipient returns the one recipient of e, and whose mailbox it is.
func (s *Stage) recipient(e *spool.Entry) (a addr.Address, u *control.User, err error) {
	if a, err = addr.Parse(e.Envelope.To[0].Addr); err != nil {
		return a, nil, status.Refuse("5.1.3", "the recipient is not a valid address")
	}
	if u, err = owner(s.Control, a, nil); err != nil {
		return a, nil, err
	}
	if u == nil {
		return a, nil, s.noMailbox(e, a)
	}
	return a, u, route.Looped(s.Control, e, a) // through an alias, or mailroute would have refused it
}

// own is what the rules of a user need.
func (s *Stage) own(e *spool.Entry, u *control.User, to addr.Address) *own {
	from, _ := addr.Parse(e.Envelope.From.Addr) // the null path is no address
	return &own{user: u, to: to, from: from, key: string(e.Key), message: e.WithResults(), log: s.Log, now: s.Now,
		programs: func() (bool, error) { return s.Control.UserPrograms() },
		passed: func() (bool, error) {
			row, err := addr.Parse(u.Address)
			if err != nil {
				return false, err
			}
			return route.Expanded(s.Control, e, row)
		}}
}
