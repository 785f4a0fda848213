package check

import (
	"context"
	"strings"

	"paperpath/internal/control"
)

// holdRulesCheck asks control/holdrules whether a person wants to look at the message first.
// What that person releases is not asked about again: it goes to route/.
type holdRulesCheck struct{}

// Name implements Check.
func (holdRulesCheck) Name() string { return "holdrules" }

// Ask implements Check. The addresses are those of the envelope, before aliases.
func (holdRulesCheck) Ask(_ context.Context, m *Case, q Query) Finding {
	mail := control.NewMail{From: m.Envelope.From.Addr, Size: m.Body.Size()}
	for _, to := range m.Envelope.Pending() {
		mail.To = append(mail.To, to.Addr)
	}
	r, err := m.Control.HoldRule(mail)
	if err != nil {
		return Finding{Err: err}
	}
	if r == nil {
		return Finding{Result: "none"}
	}
	q.Trail.Add("hold rule", r.Text, r.Where)
	return Finding{Fails: true, Result: "match", Reason: strings.TrimSuffix(r.Where+": "+r.Text, ": ")}
}
