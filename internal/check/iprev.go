package check

import (
	"context"

	"paperpath/internal/authres"
	"paperpath/internal/dns"
	"paperpath/internal/iprev"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// iprevCheck asks whether the client's address has a name that leads back to it. It keeps
// the answer for the session.
type iprevCheck struct{ found *iprev.Result }

// Name implements Check.
func (*iprevCheck) Name() string { return "iprev" }

// Ask implements Check.
func (c *iprevCheck) Ask(ctx context.Context, m *Case, q Query) Finding {
	if c.found == nil {
		r := iprev.Look(ctx, q.DNS, m.Client, "")
		c.found = &r
	}
	r := *c.found
	if r.Status == iprev.TempError || dns.HasMissed(ctx) {
		c.found = nil // the next message may know more
	}
	m.IPRev = &r
	f := Finding{Result: string(r.Status), Reason: r.Reason, Methods: []authres.Method{{Name: "iprev",
		Result: string(r.Status), Comment: r.Name,
		Properties: []authres.Property{{Name: "policy.iprev", Value: m.Client.String()}}}}}
	q.Trail.Add("name of the client", named(r), m.Client.String())
	switch r.Status {
	case iprev.TempError:
		f.Err = status.Temp("4.7.25", "the reverse DNS of "+m.Client.String()+" does not answer", nil)
	case iprev.Fail, iprev.PermError:
		f.Fails, f.Err = true, refuseMail("5.7.25", visible.ASCII(r.Reason))
	}
	return f
}

func named(r iprev.Result) string {
	if r.Name == "" {
		return "none"
	}
	return r.Name
}

// refuseMail refuses a message for who sent it.
func refuseMail(enhanced, text string) error {
	e := status.Refuse(enhanced, text)
	e.Reply = 550
	return e
}
