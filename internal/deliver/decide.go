package deliver

import (
	"context"
	"fmt"
	"io"

	"paperpath/internal/addr"
	"paperpath/internal/authres"
	"paperpath/internal/control"
	"paperpath/internal/route"
	"paperpath/internal/settle"
	"paperpath/internal/spool"
	"paperpath/internal/status"
	"paperpath/maildir"
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
	m := s.mail(e, u, a)
	if uid, gid, ours, err := ownerOf(s.Home, u); err != nil {
		return o, err
	} else if !ours {
		return s.elsewhere(ctx, e, m, uid, gid)
	}
	e.AtEnd(m.close)
	r, err := m.decide(ctx)
	if err != nil {
		return o, err
	}
	o = s.outcome(e, r.plan, r.box)
	o.Copies, o.Children = r.plan.rest(), append(o.Children, r.plan.children(e)...)
	o.Replies = append(o.Replies, r.answer...)
	return s.warned(e, u, o, r.warn)
}

// warned is an outcome with the letter that warns the user.
func (s *Stage) warned(e *spool.Entry, u *control.User, o spool.Outcome, warn bool) (spool.Outcome, error) {
	if !warn {
		return o, nil
	}
	letter, err := s.warning(e, u)
	o.Replies = append([]spool.Notice{letter}, o.Replies...)
	return o, err
}

// mail is an entry as the work for its recipient needs it.
func (s *Stage) mail(e *spool.Entry, u *control.User, to addr.Address) *mail {
	from, _ := addr.Parse(e.Envelope.From.Addr) // the null path is no address
	return &mail{home: s.Home, user: u, to: to, from: from, key: string(e.Key), size: e.Size,
		ours: e.With == spool.WithBounce, now: s.Now, log: s.Log, about: entryFacts{s, e, u}, known: &s.bases, above: &s.root,
		body: e.WithResults(), message: func() io.Reader { return e.Message() }}
}

// entryFacts answers for an entry.
type entryFacts struct {
	*Stage
	e *spool.Entry
	u *control.User
}

func (f entryFacts) Delimiters() (string, error) { return f.Control.Delimiters() }
func (f entryFacts) Hostname() (string, error)   { return f.Control.Hostname() }
func (f entryFacts) JunkFolder() (string, error) { return folderForJunk(f.Control) }
func (f entryFacts) Programs() (bool, error)     { return mayPrograms(f.Control, f.u) }
func (f entryFacts) Wish() (control.Wish, error) { return f.wish(f.e, f.u) }
func (f entryFacts) MayAnswer() (bool, error)    { return f.Answers.MayAnswer(f.e) }
func (f entryFacts) Spend() (bool, error)        { return f.Answers.Spend() }

func (f entryFacts) MayForward() error { return nil }

func (f entryFacts) Passed() (bool, error) {
	row, err := addr.Parse(f.u.Address)
	if err != nil {
		return false, err
	}
	return route.Expanded(f.Control, f.e, row)
}

func (f entryFacts) Junk() (bool, error) {
	results := f.e.Results()
	if results.Size() == 0 {
		return false, nil
	}
	found, err := authres.Read(results)
	if err != nil {
		return false, fmt.Errorf("read the results: %w", err)
	}
	_, junk := found.Junk()
	return junk, nil
}

func (f entryFacts) Room(used maildir.Usage, fits bool) (warn bool, err error) {
	return f.quotas().judge(f.u, f.e.Size, used, fits)
}

// mayPrograms reports whether the rules of a user may run programs: those of an account that
// can log in may, since its user can run them anyway.
func mayPrograms(c *control.Control, u *control.User) (bool, error) {
	if u.MayLogIn() {
		return true, nil
	}
	return c.UserPrograms()
}

// outcome is what becomes of the entry itself.
func (s *Stage) outcome(e *spool.Entry, p plan, b box) (o spool.Outcome) {
	wants := settle.Wants(e, 0, "SUCCESS")
	if p.store {
		o = spool.DeliverTo(b.path, b.others...)
		if b.dir != nil {
			o = spool.DeliverInto(b.dir, b.others...)
		}
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
