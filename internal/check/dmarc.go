package check

import (
	"context"
	"fmt"

	"paperpath/internal/authres"
	"paperpath/internal/control"
	"paperpath/internal/dkim"
	"paperpath/internal/dmarc"
	"paperpath/internal/spf"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// dmarcCheck asks whether the message comes from its author's domain, and what that domain
// wants done if not. Where it does not, what SPF forbids counts too: a forwarder breaks SPF
// but not the signature, so SPF alone may not decide before.
type dmarcCheck struct{}

// Name implements Check.
func (dmarcCheck) Name() string { return "dmarc" }

// Ask implements Check.
func (dmarcCheck) Ask(ctx context.Context, m *Case, q Query) Finding {
	r := dmarc.Message(ctx, q.DNS, m.fromOf(), identities(m))
	if why := unchecked(m); why != "" && r.Status == dmarc.Fail {
		r.Status, r.Apply, r.Reason = dmarc.TempError, "", why
	}
	m.DMARC = &r
	f := Finding{Result: string(r.Status), Reason: r.Reason, Methods: []authres.Method{dmarcMethod(r)}}
	if q.Trail != nil {
		q.Trail.Add("dmarc", describeDMARC(r), recordSource(r))
	}
	switch {
	case r.Apply == dmarc.Reject:
		f.Fails, f.Answer = true, control.CheckRefuse
	case r.Apply == dmarc.Quarantine:
		f.Fails, f.Answer = true, control.CheckJunk
	case r.Status == dmarc.TempError:
		text := "DMARC of " + r.Domain + " cannot be checked now: " + r.Reason
		f.Err = status.Temp("4.7.26", visible.ASCII(text), nil)
	}
	if f.Fails {
		f.Err = dmarcRefusal(r)
	}
	return unlessTrusted(m, q, withSPF(m, q, f), m.Methods)
}

// unlessTrusted forgets a failure of a message that a trusted forwarder brings: forwarding
// breaks SPF, and lists break signatures.
// What proves whose mail it is are the methods.
func unlessTrusted(m *Case, q Query, f Finding, methods []authres.Method) Finding {
	if !f.Fails {
		return f
	}
	where, err := m.Control.TrustedForwarder(m.Client, authres.Proved(methods))
	if err != nil {
		f.Unsure = err
		return f
	}
	if where == "" {
		return f
	}
	q.Trail.Add("forwarder", "a trusted forwarder brings it", where)
	return Finding{Result: f.Result, Methods: f.Methods,
		Reason: f.Reason + "; a trusted forwarder brings it (" + where + ")"}
}

// withSPF adds what SPF forbids to the finding about a message that does not pass. The worse
// of the two counts.
func withSPF(m *Case, q Query, f Finding) Finding {
	if m.DMARC.Status == dmarc.Pass || m.SPF == nil || m.SPF.Status != spf.Fail {
		return f
	}
	all, err := m.Control.Checks()
	if err != nil {
		return Finding{Err: err, Methods: f.Methods}
	}
	row := all.Row("spf")
	own := control.CheckAccept
	if f.Fails {
		if own = q.Row.Action; own == control.CheckAnswer {
			own = f.Answer
		}
	}
	if row.Err != nil || row.Action == control.CheckOff || !row.Action.Worse(own) {
		return f
	}
	q.Trail.Add("spf", "fails, and DMARC does not pass", row.Where)
	f.Fails, f.Row, f.Reason, f.Err = true, "spf", "SPF: "+m.SPF.Reason,
		spfRefusal(m, ", and DMARC does not prove the author")
	return f
}

// unchecked says which check was not made, "" if both were: what it would have proven is
// not known then, so no policy may be applied.
func unchecked(m *Case) string {
	switch {
	case m.SPF == nil:
		return "SPF was not checked"
	case !m.dkimDone:
		return "DKIM was not checked"
	}
	return ""
}

// identities are the domains that SPF and DKIM looked at.
func identities(m *Case) (list []dmarc.Identity) {
	if m.SPF != nil && m.SPF.Domain != "" {
		list = append(list, dmarc.Identity{Method: dmarc.SPF, Domain: m.SPF.Domain,
			Pass: m.SPF.Status == spf.Pass, Temp: m.SPF.Status == spf.TempError})
	}
	for _, s := range m.DKIM {
		if s.Domain != "" {
			list = append(list, dmarc.Identity{Method: dmarc.DKIM, Domain: s.Domain,
				Pass: s.Status == dkim.Pass, Temp: s.Status == dkim.TempError})
		}
	}
	return list
}

// dmarcMethod is the result for Authentication-Results; policy.dmarc is what the domain asks
// for (RFC 7489 11.2).
func dmarcMethod(r dmarc.Result) authres.Method {
	m := authres.Method{Name: "dmarc", Result: string(r.Status), Comment: r.Reason,
		Properties: []authres.Property{{Name: "header.from", Value: r.Domain}}}
	if r.Found.Record == nil {
		return m
	}
	m.Comment = "policy " + string(r.Found.Policy) + " of " + r.Found.At
	if r.Reason != "" {
		m.Comment += ": " + r.Reason
	}
	policy := r.Apply
	if policy == "" {
		policy = r.Found.Policy
	}
	m.Properties = append(m.Properties, authres.Property{Name: "policy.dmarc", Value: string(policy)})
	return m
}

// describeDMARC says the result in a line.
func describeDMARC(r dmarc.Result) string {
	s := string(r.Status)
	if r.Domain != "" {
		s += " for " + r.Domain
	}
	if r.Found.Record != nil {
		f := r.Found
		s += fmt.Sprintf(", policy %s (%s= of the %s %s)", f.Policy, f.Tag, f.Place, f.At)
		if r.Found.Record.Testing {
			s += ", being tested"
		}
	}
	if r.Aligned != nil {
		s += fmt.Sprintf(": %s passed for %s", r.Aligned.Method, r.Aligned.Domain)
	}
	if r.Reason != "" {
		s += ": " + r.Reason
	}
	return s
}

func recordSource(r dmarc.Result) string {
	if r.Found.Record == nil {
		return ""
	}
	return "TXT _dmarc." + r.Found.At
}

// dmarcRefusal is the reply for mail that fails: it names the domain, its policy, and where
// to read it.
func dmarcRefusal(r dmarc.Result) error {
	if r.Found.Record == nil { // From names too many domains
		return refuseMail("5.7.26", visible.ASCII("DMARC: "+r.Reason))
	}
	return refuseMail("5.7.26", visible.ASCII(fmt.Sprintf("DMARC: %s; %s=%s of %s (TXT _dmarc.%s; RFC 9989)",
		r.Reason, r.Found.Tag, r.Found.Policy, r.Found.At, r.Found.At)))
}
