package check

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/explain"
	"paperpath/internal/spf"
	"paperpath/internal/status"
)

// SPF records whether a host may send mail with a reverse path, and use a name in HELO if
// there is one: what was asked, what came, and what it means. The error is nil for a pass of
// all, temporary if the DNS did not answer.
func SPF(ctx context.Context, dns Resolver, ip netip.Addr, from addr.Address, helo string,
	t *explain.Trail) error {
	var all []spf.Result
	if !from.IsNull() {
		all = append(all, spf.CheckMailFrom(ctx, dns, ip, helo, from))
	}
	if helo != "" || from.IsNull() {
		all = append(all, spf.CheckHelo(ctx, dns, ip, helo))
	}
	var worst error
	var outcome []string
	for _, r := range all {
		t.Add("identity", identityOf(r, helo, from), "")
		for _, q := range r.Queries {
			t.Add("dns", q.Answer, q.Type+" "+q.Name)
		}
		t.Add("result", string(r.Status)+": "+r.Reason, "")
		t.Add("meaning", meaningOfSPF(r, ip), "")
		worst = status.Worse(worst, spfError(r))
		outcome = append(outcome, fmt.Sprintf("%s for %s", r.Status, identityOf(r, helo, from)))
	}
	t.End(strings.Join(outcome, ", "))
	return worst
}

func identityOf(r spf.Result, helo string, from addr.Address) string {
	if r.Scope == spf.Helo {
		return "HELO " + helo
	}
	return "MAIL FROM " + from.String()
}

func spfError(r spf.Result) error {
	switch r.Status {
	case spf.Pass:
		return nil
	case spf.TempError:
		return status.Temp("4.7.24", "the DNS did not answer", nil)
	}
	return status.Refuse("5.7.23", "SPF does not pass")
}

// meaningOfSPF says in a sentence what a result tells a receiver (RFC 7208 8).
func meaningOfSPF(r spf.Result, ip netip.Addr) string {
	switch r.Status {
	case spf.Pass:
		return r.Domain + " allows " + ip.String() + " to use its name"
	case spf.Fail:
		if r.Bare() {
			return r.Domain + " sends no mail at all: it is refused at MAIL"
		}
		return r.Domain + " does not allow " + ip.String() +
			" to use its name: mail is refused where DMARC does not prove its author"
	case spf.SoftFail:
		return r.Domain + " says that " + ip.String() +
			" should not use its name, and not to refuse the mail for that"
	case spf.Neutral:
		return r.Domain + " does not say whether " + ip.String() + " may use its name"
	case spf.None:
		return "nobody says who may use the name"
	case spf.TempError:
		return "nothing is known now: the mail is neither trusted nor refused for that"
	}
	return "the owner has to correct the record; until then it allows nobody"
}
