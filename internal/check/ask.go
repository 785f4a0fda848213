package check

import (
	"context"
	"strings"
	"sync"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/dns"
	"paperpath/internal/explain"
	"paperpath/internal/status"
)

// Found is the finding of one check, and what it means.
type Found struct {
	Name string // of the check
	Finding
	Action control.CheckAction // what it wants to become of the message
	Where  string              // the row that says so
	Took   time.Duration

	trail *explain.Trail
	dns   error // the first question that got no answer; it names our servers
}

// Detail is the reason for our own people: with what Reason, which leaves with the message,
// may not say.
func (f *Found) Detail() string {
	text := f.Reason
	for _, err := range []error{status.Cause(f.Err), f.dns} {
		switch {
		case err == nil || strings.Contains(text, err.Error()):
		case strings.HasPrefix(err.Error(), text): // it says the same, and more
			text = err.Error()
		default:
			text += ": " + err.Error()
		}
	}
	return text
}

type askFunc func(ctx context.Context, m *Case, q Query) Finding

// ask asks one check within its time. A panic in it is trouble like any other.
func (s *Session) ask(ctx context.Context, c Check, ask askFunc, explained bool) Found {
	f := Found{Name: c.Name()}
	r := s.settings.Row(f.Name)
	if r.Err != nil {
		f.Err, f.Action, f.Where = r.Err, control.CheckDefer, r.Where
		return f
	}
	if r.Action == control.CheckOff {
		f.Result, f.Action, f.Where = "off", control.CheckAccept, r.Where
		return f
	}
	asked := &unanswered{Resolver: s.DNS}
	q := Query{Row: r, DNS: asked}
	if s.Log != nil && !explained {
		q.Seldom = s.seldom
	}
	var notes *noted
	if explained {
		f.trail = &explain.Trail{}
		notes = &noted{Resolver: asked, together: asksTogether(f.Name, s.at)}
		q.Trail, q.DNS = f.trail, notes
	}
	limited := within(ctx, r.Time)
	defer limited.end()
	began := time.Now()
	err := status.Guard(func() error { f.Finding = ask(limited, s.at, q); return nil })
	f.Took, f.dns = time.Since(began), asked.first()
	if err != nil {
		f.Finding = Finding{Err: err}
	}
	if notes != nil {
		notes.addTo(f.trail)
	}
	s.weigh(&f, r)
	return f
}

// weigh decides what a finding means by the row r of its check, or the one that it names.
func (s *Session) weigh(f *Found, r control.CheckRow) {
	if f.Row != "" && f.Row != f.Name {
		if r = s.settings.Row(f.Row); r.Err != nil {
			f.Err, f.Action, f.Where = r.Err, control.CheckDefer, r.Where
			return
		}
	}
	f.Where = r.Where
	switch {
	case f.Fails:
		f.Action = r.Action
		if r.Action == control.CheckAnswer {
			f.Action = f.Answer
		}
		f.putOff()
		if f.Result == "" {
			f.Result = "fail"
		}
	case f.Err != nil:
		f.Action = r.Temporary
		if f.Result == "" {
			f.Result = "temperror"
		}
		if f.Reason == "" {
			f.Reason = status.Public(f.Err)
		}
	default:
		f.Action = control.CheckAccept
		if f.Result == "" {
			f.Result = "pass"
		}
	}
	if f.Action == "" || f.Action == control.CheckOff {
		f.Action = control.CheckAccept
	}
}

// putOff defers what would be refused, or lost, for a failure that nobody can be sure of.
func (f *Found) putOff() {
	if f.Unsure != nil && f.Action.Worse(control.CheckDefer) {
		f.Action, f.Err = control.CheckDefer, f.Unsure
		f.Reason += "; " + status.Public(f.Unsure)
	}
}

// askPhase asks the checks of one phase, adds what they find, and reports whether one ends
// it.
func (s *Session) askPhase(ctx context.Context, p phase, found []Found, explained bool) (with []Found, ends bool) {
	list := s.inPhase(p)
	all := found[len(found):]
	if p == phaseIdentity {
		all = s.askTogether(ctx, list, all, explained)
	}
	for i, c := range list {
		if p != phaseIdentity {
			ask := c.Ask
			if p == phaseFilters {
				ask = s.Filters.around(c.Check, c.Ask)
			}
			all = append(all, s.ask(ctx, c, ask, explained))
		}
		f := &all[i]
		s.at.Methods = append(s.at.Methods, f.Methods...)
		if f.Changed != nil {
			if err := s.at.change(f.Changed); err != nil {
				f.Err, f.Action = err, control.CheckDefer
			}
		}
		if ends = ends || f.Action.Ends(); ends && p != phaseIdentity {
			break
		}
	}
	return append(found, all...), ends
}

// inPhase returns the checks of a phase that concern the message.
func (s *Session) inPhase(p phase) []asked {
	list := make([]asked, 0, len(s.list))
	for _, c := range s.list {
		if c.phase == p && (!c.strangers || s.at.stranger()) {
			list = append(list, c)
		}
	}
	return list
}

// askTogether asks checks at the same time, but for those that have nothing to wait for.
func (s *Session) askTogether(ctx context.Context, list []asked, all []Found, explained bool) []Found {
	all = append(all, make([]Found, len(list))...)
	var wg sync.WaitGroup
	for i, c := range list {
		f, ok := s.askFromMemory(ctx, c, c.Ask, explained)
		if all[i] = f; !ok {
			wg.Go(func() { all[i] = s.ask(ctx, c, c.Ask, explained) })
		}
	}
	wg.Wait()
	return all
}

// askFromMemory asks a check that waits for the DNS alone, and may use no more of it than
// what is remembered; ok is false if that is not enough. What is explained shows all
// questions.
func (s *Session) askFromMemory(ctx context.Context, c asked, ask askFunc, explained bool) (f Found, ok bool) {
	if explained || !c.strangers {
		return f, false
	}
	ctx, missed := dns.FromMemory(ctx)
	f = s.ask(ctx, c.Check, ask, false)
	return f, !missed.Load()
}

// soon asks at MAIL or RCPT those checks for which pick returns something. It returns the
// finding that refuses or defers it, nil if there is none; others count for the message.
func (s *Session) soon(ctx context.Context, pick func(Check) askFunc, explained bool) *Found {
	for _, c := range s.list {
		ask := pick(c.Check)
		if ask == nil || c.strangers && !s.at.stranger() {
			continue
		}
		if c.phase == phaseFilters {
			ask = s.Filters.around(c, ask) // a replay asks nobody
		}
		f, ok := s.askFromMemory(ctx, c, ask, explained)
		if !ok {
			f = s.ask(ctx, c.Check, ask, explained)
		}
		switch {
		case f.Action == control.CheckRefuse || f.Action == control.CheckDefer:
			return &f
		case f.Err != nil || f.Action.Worse(control.CheckAccept):
			s.early = append(s.early, f)
		}
	}
	return nil
}

// atMail asks what the checks say at MAIL.
func (s *Session) atMail(ctx context.Context, explained bool) *Found {
	return s.soon(ctx, func(c Check) askFunc {
		if m, ok := c.(MailCheck); ok {
			return m.Mail
		}
		return nil
	}, explained)
}
