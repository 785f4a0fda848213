package check

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"paperpath/internal/authres"
	"paperpath/internal/control"
	"paperpath/internal/dnsbl"
	"paperpath/internal/maillog"
	"paperpath/internal/route"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// dnsblCheck adds what lists of bad and good addresses say of the client.
type dnsblCheck struct{}

// Name implements Check.
func (dnsblCheck) Name() string { return "dnsbl" }

// Rcpt implements RcptCheck: a refusal costs least before the message is sent. Everything
// else waits for it.
func (c dnsblCheck) Rcpt(ctx context.Context, m *Case, to spool.Recipient, q Query) Finding {
	if route.ForEverybody(to.Addr) {
		return Finding{}
	}
	f := c.judge(ctx, m, q)
	if act := actionOf(f, q.Row); act != control.CheckRefuse && act != control.CheckDefer {
		return Finding{Result: f.Result}
	}
	f.Methods = nil
	return f
}

// Ask implements Check.
func (c dnsblCheck) Ask(ctx context.Context, m *Case, q Query) Finding {
	f := c.judge(ctx, m, q)
	act := actionOf(f, q.Row)
	if act != control.CheckRefuse && act != control.CheckDefer {
		return f
	}
	for _, to := range m.Envelope.To {
		if route.ForEverybody(to.Addr) {
			f.Reason += " (not refused: it is for postmaster or abuse)"
			f.Answer, f.Fails, f.Err = control.CheckTag, q.Row.Action == control.CheckAnswer, nil
			break
		}
	}
	return f
}

// actionOf is what the row makes of a finding.
func actionOf(f Finding, r control.CheckRow) control.CheckAction {
	switch {
	case f.Fails && r.Action == control.CheckAnswer:
		return f.Answer
	case f.Fails:
		return r.Action
	}
	return control.CheckAccept
}

// judge asks the lists and compares the sum with the limits.
func (dnsblCheck) judge(ctx context.Context, m *Case, q Query) Finding {
	rows, err := m.Control.DNSLists()
	if err != nil {
		return failed(err)
	}
	if len(rows) == 0 {
		return Finding{Result: "none"}
	}
	source := q.DNS
	if n, ok := source.(*noted); ok {
		source = n.Resolver // the order in which answers come must not show
	}
	answers := dnsbl.Ask(ctx, source, rows, m.Client)
	f := Finding{Result: "pass"}
	sum := 0
	var listed []string
	for _, a := range answers {
		sum += a.Weight()
		explainList(q, a)
		if a.Useless != "" && q.Seldom != nil {
			q.Seldom("dnsbl "+a.Zone, func(log *maillog.Log) { log.ListUseless(a.Zone, a.Useless) })
		}
		if len(a.Rows) > 0 && !a.Good {
			listed = append(listed, describe(a))
		}
		if a.Good {
			f.Methods = append(f.Methods, dnswl(a))
		}
	}
	return weighed(f, q.Row, sum, listed)
}

// weighed is the finding for a sum.
func weighed(f Finding, row control.CheckRow, sum int, listed []string) Finding {
	f.Reason = strings.Join(listed, "; ")
	tag, refuse := limitOf(row, "tag"), limitOf(row, "refuse")
	switch {
	case sum >= refuse:
		f.Answer = control.CheckRefuse
	case sum >= tag:
		f.Answer = control.CheckTag
	default:
		return f
	}
	f.Fails, f.Result = true, "fail"
	f.Methods = append(f.Methods, authres.Method{Name: "x-dnsbl", Result: "fail", Comment: f.Reason,
		Properties: []authres.Property{{Name: "policy.sum", Value: strconv.Itoa(sum)}}})
	if actionOf(f, row) == control.CheckRefuse {
		e := status.Refuse("5.7.1", "your address is on lists of bad ones: "+f.Reason)
		e.Reply = 550
		f.Err = e
	}
	return f
}

// limitOf returns a limit on the sum; no sum reaches one that is "never".
func limitOf(row control.CheckRow, name string) int {
	n, err := strconv.Atoi(row.Option(name))
	if err != nil {
		return 1 << 30
	}
	return n
}

// describe says which list has the client, and why.
func describe(a dnsbl.Answer) string {
	text := a.Zone
	for _, code := range a.Codes {
		text += " " + code.String()
	}
	if a.Text != "" {
		text += ": " + a.Text
	}
	return text
}

// explainList adds a list's answer to the trail.
func explainList(q Query, a dnsbl.Answer) {
	where := "control/dnsbl"
	switch {
	case a.Useless != "":
		q.Trail.Add("list "+a.Zone, a.Useless+", so it weighs nothing", where)
	case a.Err != nil:
		q.Trail.Add("list "+a.Zone, a.Err.Error(), where)
	case len(a.Rows) > 0:
		where = a.Rows[0].Where
		q.Trail.Add("list "+a.Zone, fmt.Sprintf("%s => %d", strings.TrimPrefix(describe(a), a.Zone+" "), a.Weight()), where)
	case len(a.Codes) > 0:
		q.Trail.Add("list "+a.Zone, strings.TrimPrefix(describe(a), a.Zone+" ")+", which no row counts", where)
	default:
		q.Trail.Add("list "+a.Zone, "not listed", where)
	}
}

// dnswl is the result for a list of good addresses (RFC 8904 2).
func dnswl(a dnsbl.Answer) authres.Method {
	m := authres.Method{Name: "dnswl", Result: "none", Properties: []authres.Property{{Name: "dns.zone", Value: a.Zone}}}
	switch {
	case a.Useless != "":
		m.Result = "permerror"
	case a.Err != nil:
		m.Result = "temperror"
	case len(a.Rows) > 0:
		m.Result = "pass"
		m.Properties = append(m.Properties, authres.Property{Name: "policy.ip", Value: a.Codes[0].String()},
			authres.Property{Name: "policy.txt", Value: a.Text})
	}
	return m
}
