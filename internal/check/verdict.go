package check

import (
	"context"
	"errors"
	"slices"
	"strings"

	"paperpath/internal/control"
	"paperpath/internal/explain"
	"paperpath/internal/maillog"
	"paperpath/internal/message"
	"paperpath/internal/spool"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// Verdict is what becomes of a message.
type Verdict struct {
	Action   control.CheckAction // accept, tag, junk, hold, defer, refuse or discard
	Check    string              // that wants it; "" where none does
	Err      error               // the reason for hold, defer and refuse: the reply
	Found    []Found             // by all checks that were asked, in their order
	Results  []string            // our header fields, with line ends
	Header   *message.Header     // of Body, as far as it was read; nil where it was not
	Body     spool.Body          // the message as the filters leave it; as it came, to be held
	Envelope spool.Envelope      // the same
	Changed  bool                // the filters have changed one of the two

	why string // of the check that decided
}

// Passes reports whether the message goes on.
func (v Verdict) Passes() bool { return !v.Action.Worse(control.CheckJunk) }

// Reason is the verdict's reason, or "".
func (v Verdict) Reason() string {
	if v.Err == nil {
		return v.why
	}
	return v.Err.Error()
}

// Event is the verdict as the event says it. Its envelope is the one that was judged.
func (v Verdict) Event() maillog.Verdict {
	e := maillog.Verdict{Action: string(v.Action), Check: v.Check, Reason: v.Reason(),
		From: v.Envelope.From.Addr}
	for _, f := range v.Found {
		r := maillog.CheckResult{Name: f.Name, Result: f.Result, Reason: f.Detail(), Took: f.Took}
		if f.Action != control.CheckAccept {
			r.Action = string(f.Action)
		}
		e.Checks = append(e.Checks, r)
	}
	return e
}

// judge asks the checks of these phases, one phase after another.
func (s *Session) judge(ctx context.Context, t *explain.Trail, list ...phase) Verdict {
	m := s.at
	if s.err != nil {
		return s.verdict([]Found{troubled("checks", s.err)}, t)
	}
	var err error
	if s.wanted, err = s.Control.Results(); err != nil {
		return s.verdict([]Found{troubled("results", err)}, t)
	}
	m.Header, m.HeaderErr = ReadHeader(s.Control, m.Body)
	all := append(make([]Found, 0, len(s.early)+len(s.list)), s.early...)
	for _, p := range list {
		if p == phaseFilters {
			if err := m.dropForged(); err != nil {
				all = append(all, troubled("results", err))
				break
			}
			if slices.ContainsFunc(s.list, func(c asked) bool { return s.concerns(c, p) }) {
				m.results = s.resultFields(all)
			}
		}
		var ends bool
		if all, ends = s.askPhase(ctx, p, all, t != nil); ends {
			break
		}
	}
	return s.verdict(all, t)
}

// troubled is a fault of ours in what is no check: the message is deferred.
func troubled(name string, err error) Found {
	return Found{Name: name, Finding: Finding{Result: "temperror", Reason: status.Public(err), Err: err},
		Action: control.CheckDefer, Where: "control/checks"}
}

// verdict weighs what was found: the worst action decides, the first of equal ones.
func (s *Session) verdict(all []Found, t *explain.Trail) Verdict {
	v := Verdict{Action: control.CheckAccept, Found: all}
	v.Header, v.Body, v.Envelope, v.Changed = s.at.Header, s.at.Body, s.at.Envelope, s.at.original != nil
	for _, f := range all {
		if f.Action.Worse(v.Action) {
			v.Action, v.Check, v.why = f.Action, f.Name, f.Name+": "+f.Detail()
			if v.Err = nil; !v.Passes() {
				v.Err = f.reply()
			}
		}
		f.explain(t)
	}
	o := s.at.original
	if v.Passes() && o != nil && len(o.Envelope.To) > 0 && len(v.Envelope.Pending()) == 0 {
		v.Action, v.why = control.CheckDiscard, "the filters leave no recipient"
	}
	s.holdJunk(&v)
	if v.Action == control.CheckHold && o != nil {
		v.Body, v.Envelope, v.Changed = o.Body, o.Envelope, false // its signatures still verify
	}
	v.Results = s.resultFields(v.Found)
	t.End(v.String())
	return v
}

// holdJunk lets a person look at junk, where control/junk says so.
func (s *Session) holdJunk(v *Verdict) {
	if v.Action != control.CheckJunk {
		return
	}
	junk, err := s.Control.Junk()
	switch {
	case err != nil:
		v.Action, v.Err = control.CheckDefer, err
	case junk.Hold:
		v.Action = control.CheckHold
		for _, f := range v.Found {
			if f.Name == v.Check && f.Action == control.CheckJunk {
				f.Action = control.CheckHold // for the words of its reason
				v.Err = f.reply()
			}
		}
	}
}

// String is the verdict for people.
func (v Verdict) String() string {
	kind := string(v.Action)
	if v.Action == control.CheckAccept {
		kind = "pass"
	}
	return strings.TrimSuffix(kind+": "+v.Reason(), ": ")
}

// reply is what the client hears, and the reason for people: the check's own reply where it
// is of the right kind.
func (f *Found) reply() error {
	temporary := f.Action == control.CheckDefer
	if f.Err != nil && f.Action != control.CheckHold && status.IsTemporary(f.Err) == temporary {
		return f.verdict(f.Err)
	}
	text := f.Name + ": " + visible.ASCII(f.Reason)
	if temporary {
		return f.verdict(status.Temp("4.7.1", text, nil))
	}
	e := status.Refuse("5.7.1", text)
	e.Reply = 550
	return f.verdict(e)
}

// verdict marks an error that is a verdict on the message.
func (f *Found) verdict(err error) error {
	if f.Fails {
		return decided{err}
	}
	return err
}

// decided is the error of a message for which a check failed.
type decided struct{ error }

func (d decided) Unwrap() error { return d.error }

// IsVerdict reports whether err says that a message failed a check, so that nothing is wrong
// with this machine though it may be temporary.
func IsVerdict(err error) bool {
	var d decided
	return errors.As(err, &d)
}

// explain adds what the check read, and what it means.
func (f *Found) explain(t *explain.Trail) {
	if t == nil {
		return
	}
	if f.trail != nil {
		t.Steps = append(t.Steps, f.trail.Steps...)
	}
	text := f.Result
	if f.Reason != "" {
		text += ": " + f.Reason
	}
	if f.Fails || f.Err != nil {
		text += " => " + string(f.Action)
	}
	t.Add("check "+f.Name, text, f.Where)
}
