package check

import (
	"context"
	"strings"

	"paperpath/internal/control"
	"paperpath/internal/explain"
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
	Body     spool.Body          // the message as the filters leave it
	Envelope spool.Envelope      // the same
}

// Passes reports whether the message goes on.
func (v Verdict) Passes() bool { return !v.Action.Worse(control.CheckJunk) }

// Reason is the verdict's reason, or "".
func (v Verdict) Reason() string {
	if v.Err == nil {
		return ""
	}
	return v.Err.Error()
}

// message asks all checks, phase by phase.
func (s *Session) message(ctx context.Context, t *explain.Trail) Verdict {
	m := s.at
	if s.err != nil {
		return s.verdict([]Found{troubled("checks", s.err)}, t)
	}
	m.Header, m.HeaderErr = ReadHeader(s.Control, m.Body)
	all := s.early
	for p := phaseFormat; p < phases; p++ {
		if p == phaseFilters {
			if err := m.dropForged(); err != nil {
				all = append(all, troubled("results", err))
				break
			}
		}
		found, ends := s.askPhase(ctx, p, t != nil)
		if all = append(all, found...); ends {
			break
		}
	}
	return s.verdict(all, t)
}

// troubled is a fault of ours in what is no check: the message is deferred.
func troubled(name string, err error) Found {
	return Found{Name: name, Finding: Finding{Result: "temperror", Reason: err.Error(), Err: err},
		Action: control.CheckDefer, Where: "control/checks"}
}

// verdict weighs what was found: the worst action decides, the first of equal ones.
func (s *Session) verdict(all []Found, t *explain.Trail) Verdict {
	v := Verdict{Action: control.CheckAccept, Found: all}
	v.Header, v.Body, v.Envelope = s.at.Header, s.at.Body, s.at.Envelope
	for _, f := range all {
		if f.Action.Worse(v.Action) {
			v.Action, v.Check = f.Action, f.Name
			if v.Err = nil; !v.Passes() {
				v.Err = f.reply()
			}
		}
		f.explain(t)
	}
	v.Results = resultFields(s.Host, v)
	t.End(v.String())
	return v
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
	if f.Err != nil && (f.Action == control.CheckHold || status.IsTemporary(f.Err) == temporary) {
		return f.Err
	}
	text := f.Name + ": " + visible.ASCII(f.Reason)
	if temporary {
		return status.Temp("4.7.1", text, f.Err)
	}
	e := status.Refuse("5.7.1", text)
	e.Reply = 550
	return e
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
