package check

import (
	"context"
	"fmt"

	"paperpath/internal/addr"
	"paperpath/internal/authres"
	"paperpath/internal/control"
	"paperpath/internal/dns"
	"paperpath/internal/explain"
	"paperpath/internal/spf"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// spfCheck asks whether the client may use the reverse path and the name in HELO. What it
// found at MAIL holds for the message.
type spfCheck struct {
	from  string
	helo  string
	found *spf.Result
}

// Name implements Check.
func (*spfCheck) Name() string { return "spf" }

// Reset implements Resetter.
func (c *spfCheck) Reset() { c.found = nil }

// mailFrom checks the reverse path, once for a transaction.
func (c *spfCheck) mailFrom(ctx context.Context, m *Case, q Query) spf.Result {
	if c.found != nil && c.from == m.Envelope.From.Addr && c.helo == m.Helo {
		return *c.found
	}
	from, err := addr.Parse(m.Envelope.From.Addr)
	if m.Envelope.From.Addr != "" && err != nil {
		return spf.Result{Status: spf.None, Scope: spf.MailFrom, Reason: "the reverse path is no address"}
	}
	r := spf.CheckMailFrom(ctx, q.DNS, m.Client, m.Helo, from)
	if !dns.HasMissed(ctx) {
		c.from, c.helo, c.found = m.Envelope.From.Addr, m.Helo, &r
	}
	return r
}

// Mail implements MailCheck: a domain that sends no mail at all is refused before the
// message comes. Any other failure waits for DMARC.
func (c *spfCheck) Mail(ctx context.Context, m *Case, q Query) Finding {
	r := c.mailFrom(ctx, m, q)
	if !r.Bare() {
		return Finding{Result: string(r.Status)}
	}
	where, err := m.Control.TrustedForwarder(m.Client, nil)
	if err != nil || where != "" {
		return Finding{Result: string(r.Status), Err: err}
	}
	text := fmt.Sprintf("SPF: %s sends no mail (TXT %s says %q; RFC 7208)", r.Domain, r.Domain, r.Record)
	return Finding{Fails: true, Result: string(r.Status), Reason: r.Reason,
		Err: refuseMail("5.7.23", visible.ASCII(text))}
}

// Ask implements Check. It fails by itself only where the DMARC check, which knows more, is
// off.
func (c *spfCheck) Ask(ctx context.Context, m *Case, q Query) Finding {
	r := c.mailFrom(ctx, m, q)
	list := []spf.Result{r}
	if r.Scope == spf.MailFrom && m.Helo != "" {
		helo := spf.CheckHelo(ctx, q.DNS, m.Client, m.Helo)
		list, m.HeloSPF = append(list, helo), &helo
	}
	m.SPF = &r
	f := Finding{Result: string(r.Status), Reason: r.Reason}
	f.Methods = make([]authres.Method, 0, len(list))
	for _, r := range list {
		if q.Trail != nil {
			explainSPF(r, q.Trail)
		}
		f.Methods = append(f.Methods, spfMethod(m, r))
	}
	switch r.Status {
	case spf.TempError:
		text := "SPF of " + r.Domain + " cannot be checked now: " + r.Reason
		f.Err = status.Temp("4.7.24", visible.ASCII(text), nil)
	case spf.Fail:
		if all, err := m.Control.Checks(); err == nil && all.Row("dmarc").Action == control.CheckOff {
			f.Fails, f.Err = true, spfRefusal(m, "")
		}
	}
	return unlessTrusted(m, q, f, f.Methods) // DKIM is not known yet
}

// spfMethod is the result for Authentication-Results.
func spfMethod(m *Case, r spf.Result) authres.Method {
	p := authres.Domain("smtp.helo", m.Helo)
	if r.Scope == spf.MailFrom {
		p = authres.Mailbox("smtp.mailfrom", m.Envelope.From.Addr)
	}
	return authres.Method{Name: "spf", Result: string(r.Status), Comment: r.Reason,
		Properties: []authres.Property{p}}
}

func explainSPF(r spf.Result, t *explain.Trail) {
	if r.Domain == "" {
		t.Add("spf "+string(r.Scope), fmt.Sprintf("%s: %s", r.Status, r.Reason), "")
		return
	}
	t.Add("spf "+string(r.Scope), fmt.Sprintf("%s for %s: %s", r.Status, r.Sender, r.Reason), "TXT "+r.Domain)
}

// spfRefusal is the reply for mail that SPF forbids; more is what else speaks against it.
func spfRefusal(m *Case, more string) error {
	return refuseMail("5.7.23", visible.ASCII(fmt.Sprintf(
		"SPF: %s does not allow %s to send its mail (TXT %s; RFC 7208)%s",
		m.SPF.Domain, m.Client, m.SPF.Domain, more)))
}
