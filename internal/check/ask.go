package check

import (
	"context"
	"strings"
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

// inquiry is what a check needs to be asked.
type inquiry struct {
	unanswered
	deadline
	memory dns.Missed
}

// inquiry returns a new one: some at a time cost one allocation.
func (s *Session) inquiry() *inquiry {
	if len(s.spare) == 0 {
		s.spare = make([]inquiry, 8)
	}
	one := &s.spare[0]
	s.spare = s.spare[1:]
	return one
}

// ask asks one check within its time, by its Ask where ask is nil.
func (s *Session) ask(ctx context.Context, c Check, ask askFunc, explained bool) Found {
	return s.askWith(ctx, s.inquiry(), c, ask, explained)
}

// askWith is ask with an inquiry of the caller's. A panic in a check is trouble like any other.
func (s *Session) askWith(ctx context.Context, one *inquiry, c Check, ask askFunc, explained bool) Found {
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
	began := time.Now()
	one.Resolver, one.Context, one.until = s.DNS, ctx, began.Add(r.Time)
	q := Query{Row: r, DNS: &one.unanswered}
	if s.Log != nil && !explained {
		q.Seldom = s.seldom
	}
	var notes *noted
	if explained {
		f.trail = &explain.Trail{}
		notes = &noted{Resolver: q.DNS, together: asksTogether(f.Name, s.at)}
		q.Trail, q.DNS = f.trail, notes
	}
	defer one.end()
	var err error
	if f.Finding, err = s.guarded(&one.deadline, c, ask, q); err != nil {
		f.Finding = Finding{Err: err}
	}
	f.Took, f.dns = time.Since(began), one.first()
	if notes != nil {
		notes.addTo(f.trail)
	}
	s.weigh(&f, r)
	return f
}

// guarded asks a check. The error is that of a panic.
func (s *Session) guarded(ctx context.Context, c Check, ask askFunc, q Query) (f Finding, err error) {
	defer status.Catch(&err)
	if ask == nil {
		return c.Ask(ctx, s.at, q), nil
	}
	return ask(ctx, s.at, q), nil
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
	at := len(found)
	if p == phaseIdentity {
		found = s.askTogether(ctx, found, explained)
	}
	for _, c := range s.list {
		if !s.concerns(c, p) {
			continue
		}
		if p != phaseIdentity {
			var ask askFunc
			if p == phaseFilters {
				ask = s.Filters.around(c.Check, c.Ask)
			}
			found = append(found, s.ask(ctx, c.Check, ask, explained))
		}
		f := &found[at]
		at++
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
	return found, ends
}

// concerns reports whether a check belongs to the phase and concerns the message.
func (s *Session) concerns(c asked, p phase) bool {
	return c.phase == p && (!c.strangers || s.at.stranger())
}

// askTogether asks the checks of who sent it at the same time, but for those that have nothing
// to wait for.
func (s *Session) askTogether(ctx context.Context, found []Found, explained bool) []Found {
	at := len(found)
	for _, c := range s.list {
		if s.concerns(c, phaseIdentity) {
			found = append(found, Found{})
		}
	}
	for _, c := range s.list {
		if !s.concerns(c, phaseIdentity) {
			continue
		}
		f, ok := s.askFromMemory(ctx, c, nil, explained)
		if found[at] = f; !ok {
			s.askBeside(ctx, c.Check, &found[at], explained)
		}
		at++
	}
	s.beside.Wait()
	return found
}

// askBeside asks a check while others are asked; beside waits for it.
func (s *Session) askBeside(ctx context.Context, c Check, into *Found, explained bool) {
	one := s.inquiry()
	s.beside.Go(func() { *into = s.askWith(ctx, one, c, nil, explained) })
}

// askFromMemory asks a check that waits for the DNS alone, and may use no more of it than
// what is remembered; ok is false if that is not enough. What is explained shows all
// questions.
func (s *Session) askFromMemory(ctx context.Context, c asked, ask askFunc, explained bool) (f Found, ok bool) {
	if explained || !c.strangers {
		return f, false
	}
	one := s.inquiry()
	f = s.askWith(dns.InMemory(ctx, &one.memory), one, c.Check, ask, false)
	return f, !one.memory.Load()
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
