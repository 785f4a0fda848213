package check

import (
	"fmt"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/milter"
	"paperpath/internal/spool"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// milterSays is what a milter says about a message.
type milterSays struct {
	action control.CheckAction // accept, or worse
	reason string              // for people; it may hold text from outside
	err    error               // the reply, if it has one
	change *Change
}

// finding is what an answer means.
func (f *milterFilter) finding(got milterSays) Finding {
	if !got.action.Worse(control.CheckAccept) {
		return Finding{Reason: f.row.Name, Changed: got.change}
	}
	return Finding{Fails: true, Answer: got.action, Result: "fail", Reason: f.row.Name + ": " + got.reason,
		Err: got.err, Changed: got.change}
}

// changed is what a milter that accepts a message says by its changes.
func (f *milterFilter) changed(m *Case, text milter.Text, c *milter.Changes) (milterSays, error) {
	got := milterSays{action: control.CheckAccept}
	env, gone, err := envelopeOf(m.Envelope, c)
	if err == nil {
		err = f.tooMany(m, env)
	}
	if err != nil {
		return got, err
	}
	if c.Text() || len(c.Recipients) > 0 || c.From != nil {
		body, err := c.Apply(text)
		if err != nil {
			return got, err
		}
		got.change = &Change{Body: body, Envelope: env}
		m.Log.FilterChanged(m.Key, f.row.Name, said(c))
	}
	for _, what := range c.Ignored {
		m.Log.FilterIgnored(m.Key, f.row.Name, what)
	}
	for _, field := range c.Fields {
		if f.row.Milter.IsJunk(field.Name, field.Value) {
			got.action, got.reason = control.CheckJunk, visible.Shorten(visible.Line(field.Name+": "+field.Value), 200)
		}
	}
	switch {
	case gone:
		got.action, got.reason = control.CheckDiscard, "it has removed all recipients"
	case c.Held:
		got.action, got.reason = control.CheckHold, "quarantine: "+c.Reason
	}
	return got, nil
}

// said names the changes for an event.
func said(c *milter.Changes) string {
	var list []string
	if n := c.Header(); n > 0 {
		list = append(list, fmt.Sprintf("%d fields", n))
	}
	if c.NewBody() {
		list = append(list, "body")
	}
	if c.From != nil {
		list = append(list, "sender")
	}
	if n := len(c.Recipients); n > 0 {
		list = append(list, fmt.Sprintf("%d recipients", n))
	}
	return strings.Join(list, ", ")
}

// envelopeOf applies the changes of an envelope. gone reports that no recipient is left. What
// is added is found by its key: a filter may want thousands.
func envelopeOf(env spool.Envelope, c *milter.Changes) (changed spool.Envelope, gone bool, err error) {
	if c.From != nil {
		env.From.Addr = c.From.String()
	}
	at := map[string][]int{} // by key: where they stand in to
	to := append([]spool.Recipient(nil), env.To...)
	for i, old := range to {
		a, err := addr.Parse(old.Addr)
		if err != nil {
			return env, false, err
		}
		at[a.Key()] = append(at[a.Key()], i)
	}
	away := map[int]bool{}
	for _, r := range c.Recipients {
		key := r.Addr.Key()
		switch {
		case !r.Add:
			for _, i := range at[key] {
				away[i] = true
			}
			delete(at, key)
		case at[key] == nil:
			at[key] = []int{len(to)}
			to = append(to, spool.Recipient{Addr: r.Addr.String()})
		}
	}
	had := len(env.To)
	env.To = nil
	for i, r := range to {
		if !away[i] {
			env.To = append(env.To, r)
		}
	}
	return env, had > 0 && len(env.To) == 0, nil
}

// tooMany is the error for a filter that adds more recipients than a message may have.
func (f *milterFilter) tooMany(m *Case, env spool.Envelope) error {
	most, err := m.Control.Limit("recipients")
	if err != nil || len(env.To) <= max(int(most), len(m.Envelope.To)) {
		return err
	}
	return f.lost(&milter.Away{Filter: f.row.Name, Stage: milter.AtEnd,
		Err: fmt.Errorf("it adds recipients beyond %d (recipients in control/limits)", most)})
}

// verdictOf is what an answer of a milter means for a message.
func verdictOf(a milter.Answer) milterSays {
	err := a.Err()
	switch {
	case a.Kind == milter.Discard:
		return milterSays{action: control.CheckDiscard, reason: "discard"}
	case err == nil:
		return milterSays{action: control.CheckAccept}
	case status.IsTemporary(err):
		return milterSays{action: control.CheckDefer, reason: err.Error(), err: err}
	}
	return milterSays{action: control.CheckRefuse, reason: err.Error(), err: err}
}
