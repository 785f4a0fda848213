package check

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"paperpath/internal/dmarc"
	"paperpath/internal/explain"
	"paperpath/internal/status"
)

// DMARC records what a domain, given in A-labels and lower case, says about mail in its name:
// what was asked, what came, and what it means. The error is nil if a policy applies,
// temporary if the DNS did not answer.
func DMARC(ctx context.Context, dns Resolver, domain string, t *explain.Trail) error {
	l, err := dmarc.Look(ctx, dns, domain)
	for _, q := range l.Queries {
		t.Add("dns", q.Answer, "TXT "+q.Name)
	}
	if l.Org != "" {
		t.Add("organizational domain", l.Org, "RFC 9989 4.10.2")
	}
	r := l.Found.Record
	switch {
	case r != nil:
		explainRecord(l.Found, t)
	case err == nil:
		t.End("none: nothing says what becomes of mail that " + domain + " has not sent")
		return status.Refuse("5.7.26", "no policy is published")
	}
	if err != nil {
		t.End("temperror: " + err.Error())
		return status.Temp("4.7.26", "the DNS did not answer", err)
	}
	apply := l.Found.Policy
	if r.Defect() != "" && len(r.RUA) == 0 {
		t.End("none: the record says nothing, because " + r.Defect())
		return status.Refuse("5.7.26", r.Defect())
	}
	if r.Testing {
		apply = apply.Lowered()
	}
	t.End(fmt.Sprintf("%s: %s", apply, meaningOfPolicy(apply)))
	return nil
}

// explainRecord records what a policy record says.
func explainRecord(f dmarc.Found, t *explain.Trail) {
	r := f.Record
	source := "TXT _dmarc." + f.At
	t.Add("record", "of the "+string(f.Place)+", "+f.At, source)
	t.Add("policy", fmt.Sprintf("%s (%s=)", f.Policy, f.Tag), source)
	if defect := r.Defect(); defect != "" {
		t.Add("defect", defect+": with an address for reports (rua=) that is p=none, else nothing",
			"RFC 9989 4.10.1")
	}
	if r.Defect() == "" {
		below := "like the domain"
		if r.SP != "" || r.NP != "" {
			below = fmt.Sprintf("%s; of those that do not exist: %s",
				cmp.Or(r.SP, r.P), cmp.Or(r.NP, r.SP, r.P))
		}
		t.Add("subdomains", below, source)
	}
	t.Add("alignment", fmt.Sprintf("DKIM %s, SPF %s", strictness(r.ADKIM), strictness(r.ASPF)), source)
	if r.Testing {
		t.Add("testing", "t=y: one level below the policy is applied", source)
	}
	switch r.PSD {
	case 'y':
		t.Add("public suffix", "psd=y: names below it are organizations of their own", source)
	case 'n':
		t.Add("public suffix", "psd=n: it is an organization of its own", source)
	}
	if len(r.RUA) > 0 {
		t.Add("reports", strings.Join(r.RUA, " "), source)
	}
	for _, old := range r.Old {
		t.Add("without effect", old.Name+"="+old.Value+" (RFC 9989 has no such tag any more)", source)
	}
	for _, text := range r.Ignored {
		t.Add("ignored", text, source)
	}
}

func strictness(strict bool) string {
	if strict {
		return "strict (the same domain)"
	}
	return "relaxed (the same organization)"
}

func meaningOfPolicy(p dmarc.Policy) string {
	switch p {
	case dmarc.Reject:
		return "mail that neither SPF nor DKIM proves is refused"
	case dmarc.Quarantine:
		return "mail that neither SPF nor DKIM proves is junk"
	}
	return "mail that neither SPF nor DKIM proves is accepted like other mail"
}
