package check

import (
	"context"
	"fmt"
	"slices"

	"paperpath/internal/addr"
	"paperpath/internal/dns"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// nullMXCheck asks whether the domain of the reverse path says that it accepts no mail (RFC 7505
// 4.2): no report could reach it.
type nullMXCheck struct{}

// Name implements Check.
func (nullMXCheck) Name() string { return "null-mx" }

// Ask implements Check.
func (nullMXCheck) Ask(ctx context.Context, m *Case, q Query) Finding {
	from, err := addr.Parse(m.Envelope.From.Addr)
	if err != nil || from.Domain == "" { // the null path too
		return Finding{Result: "none"}
	}
	domain, err := dns.ASCII(from.Domain)
	if err != nil { // an address literal has no MX
		return Finding{Result: "none"}
	}
	list, err := q.DNS.MX(ctx, domain)
	switch {
	case isNone(err):
		q.Trail.Add("MX", domain+" has none", "")
		return Finding{}
	case err != nil:
		q.Trail.Add("MX", domain+": "+err.Error(), "")
		err = fmt.Errorf("look the sender's domain up: %w", err)
		return Finding{Err: status.Temp("4.7.27", visible.ASCII("the sender's domain "+domain+" could not be looked up"), err), Reason: status.Public(err)}
	case slices.Equal(list, []dns.MX{{}}):
		why := "the sender's domain " + domain + " does not accept mail (null MX)"
		q.Trail.Add("MX", domain+" has a null MX", "")
		return Finding{Fails: true, Reason: visible.ASCII(why), Err: refuseMail("5.7.27", visible.ASCII(why))}
	}
	q.Trail.Add("MX", domain+" accepts mail", "")
	return Finding{}
}
