package dmarc

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"paperpath/internal/dns"
	"paperpath/internal/message"
)

// zone is a DNS: names, with the names above them, exist if they are in it. "away" is an
// answer that does not come; "" is a name without TXT records.
type zone map[string]string

func (z zone) TXT(_ context.Context, name string) ([]string, error) {
	text, ok := z[name]
	switch {
	case text == "away":
		return nil, &dns.Error{Kind: dns.ErrTemporary, Name: name, Type: "TXT"}
	case len(name) > 253:
		return nil, &dns.Error{Kind: dns.ErrBadName, Name: name, Type: "TXT"}
	case ok && text != "":
		return strings.Split(text, "|"), nil
	case ok || z.above(name):
		return nil, &dns.Error{Kind: dns.ErrNoData, Name: name, Type: "TXT"}
	}
	return nil, &dns.Error{Kind: dns.ErrNoDomain, Name: name, Type: "TXT"}
}

func (z zone) above(name string) bool {
	for other := range z {
		if below(other, name) {
			return true
		}
	}
	return false
}

// ids reads "spf:a.example dkim?:b.example": a question mark is an answer that did not
// come, an exclamation mark a failure.
func ids(text string) (list []Identity) {
	for word := range strings.FieldsSeq(text) {
		method, domain, _ := strings.Cut(word, ":")
		id := Identity{Method: Method(strings.Trim(method, "?!")), Domain: domain, Temp: strings.HasSuffix(method, "?")}
		id.Pass = !id.Temp && !strings.HasSuffix(method, "!")
		list = append(list, id)
	}
	return list
}

// says is what a table compares: "status policy tag at place", as far as it is there.
func says(r Result) string {
	s := string(r.Status)
	if r.Apply != "" {
		s += " " + string(r.Apply)
	}
	if r.Found.Record != nil {
		s += " " + strings.Join(strings.Fields(fmt.Sprintf("%s@%s", r.Found.Tag, r.Found.At)), " ")
	}
	if r.Aligned != nil {
		s += " by " + string(r.Aligned.Method) + ":" + r.Aligned.Domain
	}
	return s
}

const (
	rec  = "v=DMARC1; p=reject"
	soft = "v=DMARC1; p=quarantine"
	open = "v=DMARC1; p=none"
)

type row struct {
	name   string
	z      zone
	domain string
	ids    string
	want   string
}

// TestDomain has every case of policy, alignment, np, psd and t.
func TestDomain(t *testing.T) {
	for _, x := range slices.Concat(policyRows(), alignmentRows(), suffixRows(), troubleRows()) {
		got := Domain(context.Background(), x.z, x.domain, ids(x.ids))
		if says(got) != x.want {
			t.Errorf("%s: %s (%s), want %s", x.name, says(got), got.Reason, x.want)
		}
		if (got.Reason == "") != (got.Status == Pass) {
			t.Errorf("%s: %s with the reason %q", x.name, got.Status, got.Reason)
		}
	}
}

func policyRows() []row {
	at := func(text string) zone { return zone{"_dmarc.example.org": text, "there.example.org": ""} }
	const sub, gone = "there.example.org", "gone.example.org"
	return []row{
		{"nothing", zone{}, "example.org", "", "none"},
		{"nothing that is proven", zone{}, "example.org", "spf:example.org", "none"},
		{"other text", at("hello|v=spf1 -all"), "example.org", "", "none"},
		{"reject", at(rec), "example.org", "", "fail reject p@example.org"},
		{"quarantine", at(soft), "example.org", "", "fail quarantine p@example.org"},
		{"none", at(open), "example.org", "", "fail none p@example.org"},
		{"among other text", at("hello|" + rec), "example.org", "", "fail reject p@example.org"},
		{"two records", at(rec + "|" + soft), "example.org", "", "none"},
		{"two records, one of them unreadable", at(rec + "|v=DMARC1; p=none; p=none"), "example.org", "", "none"},
		{"a record of another version", at(rec + "|v=DMARC2; p=none"), "example.org", "", "fail reject p@example.org"},
		{"a subdomain", at(rec), sub, "", "fail reject p@example.org"},
		{"a subdomain with sp", at(rec + "; sp=none"), sub, "", "fail none sp@example.org"},
		{"sp is not for the domain", at(rec + "; sp=none"), "example.org", "", "fail reject p@example.org"},
		{"np is for what does not exist", at(open + "; sp=quarantine; np=reject"), gone, "", "fail reject np@example.org"},
		{"np is not for what exists", at(open + "; sp=quarantine; np=reject"), sub, "", "fail quarantine sp@example.org"},
		{"np is not for the domain", at(open + "; np=reject"), "example.org", "", "fail none p@example.org"},
		{"np without sp", at(open + "; np=reject"), gone, "", "fail reject np@example.org"},
		{"np without sp, not used", at(open + "; np=reject"), sub, "", "fail none p@example.org"},
		{"sp for what does not exist", at(open + "; sp=reject"), gone, "", "fail reject sp@example.org"},
		{"p for what does not exist", at(rec), gone, "", "fail reject p@example.org"},
		{"np below a name that exists", at(open + "; np=reject"), "a." + sub, "", "fail reject np@example.org"},
		{"np for a name with names below", zone{"_dmarc.example.org": open + "; np=reject", "x.a.example.org": ""},
			"a.example.org", "", "fail none p@example.org"},
		{"testing reject", at(rec + "; t=y"), "example.org", "", "fail quarantine p@example.org"},
		{"testing quarantine", at(soft + "; t=y"), "example.org", "", "fail none p@example.org"},
		{"testing none", at(open + "; t=y"), "example.org", "", "fail none p@example.org"},
		{"testing sp", at(open + "; sp=reject; t=y"), sub, "", "fail quarantine sp@example.org"},
		{"testing np", at(open + "; np=reject; t=y"), gone, "", "fail quarantine np@example.org"},
		{"not testing", at(rec + "; t=n"), "example.org", "", "fail reject p@example.org"},
		{"pct means nothing", at(rec + "; pct=0; rf=afrf; ri=86400"), "example.org", "", "fail reject p@example.org"},
		{"no p", at("v=DMARC1; sp=reject"), "example.org", "", "none p@example.org"},
		{"no p, but reports", at("v=DMARC1; sp=reject; rua=mailto:d@example.org"), sub, "", "fail none p@example.org"},
		{"a wrong p", at("v=DMARC1; p=rejected"), "example.org", "", "none p@example.org"},
		{"a wrong sp", at(rec + "; sp=x; rua=mailto:d@example.org"), "example.org", "", "fail none p@example.org"},
		{"a wrong np, no reports", at(rec + "; np=x; rua=d@example.org"), "example.org", "", "none p@example.org"},
		{"its own record first", zone{"_dmarc.example.org": rec, "_dmarc.a.example.org": open}, "a.example.org", "",
			"fail none p@a.example.org"},
		{"not the record between", zone{"_dmarc.example.org": rec, "_dmarc.b.example.org": open}, "a.b.example.org", "",
			"fail reject p@example.org"},
	}
}

func alignmentRows() []row {
	z := zone{"_dmarc.example.org": rec, "_dmarc.other.example": rec, "_dmarc.dep.example.org": rec + "; psd=n"}
	strict := zone{"_dmarc.example.org": rec + "; adkim=s; aspf=s"}
	return []row{
		{"the same by SPF", z, "example.org", "spf:example.org", "pass p@example.org by spf:example.org"},
		{"the same by DKIM", z, "example.org", "dkim:example.org", "pass p@example.org by dkim:example.org"},
		{"below by SPF", z, "example.org", "spf:bounce.example.org", "pass p@example.org by spf:bounce.example.org"},
		{"above by DKIM", z, "a.example.org", "dkim:example.org", "pass p@example.org by dkim:example.org"},
		{"beside by DKIM", z, "a.example.org", "dkim:b.example.org", "pass p@example.org by dkim:b.example.org"},
		{"failed", z, "example.org", "dkim!:example.org spf!:example.org", "fail reject p@example.org"},
		{"others", z, "example.org", "dkim:other.example spf:other.example", "fail reject p@example.org"},
		{"one of many", z, "example.org", "dkim:other.example spf!:x.example dkim:m.example.org",
			"pass p@example.org by dkim:m.example.org"},
		{"only a part of a label", z, "example.org", "dkim:notexample.org", "fail reject p@example.org"},
		{"the top-level domain", z, "example.org", "dkim:org", "fail reject p@example.org"},
		{"strict, the same", strict, "example.org", "dkim:example.org", "pass p@example.org by dkim:example.org"},
		{"strict, below by DKIM", strict, "example.org", "dkim:a.example.org", "fail reject p@example.org"},
		{"strict, below by SPF", strict, "example.org", "spf:a.example.org", "fail reject p@example.org"},
		{"strict for DKIM only", zone{"_dmarc.example.org": rec + "; adkim=s"}, "example.org",
			"dkim:a.example.org spf:b.example.org", "pass p@example.org by spf:b.example.org"},
		{"strict for SPF only", zone{"_dmarc.example.org": rec + "; aspf=s"}, "example.org",
			"spf:b.example.org dkim:a.example.org", "pass p@example.org by dkim:a.example.org"},
		{"strict counts for subdomains", strict, "a.example.org", "dkim:example.org", "fail reject p@example.org"},
		{"a department of its own", z, "example.org", "dkim:dep.example.org", "fail reject p@example.org"},
		{"within the department", z, "a.dep.example.org", "dkim:b.dep.example.org",
			"pass p@dep.example.org by dkim:b.dep.example.org"},
		{"from the department", z, "dep.example.org", "dkim:example.org", "fail reject p@dep.example.org"},
		{"a record of its own does not end the organization", zone{"_dmarc.example.org": rec, "_dmarc.a.example.org": rec},
			"a.example.org", "dkim:example.org", "pass p@a.example.org by dkim:example.org"},
		{"a record only below", zone{"_dmarc.a.example.org": rec}, "a.example.org", "dkim:example.org",
			"fail reject p@a.example.org"},
	}
}

// Public suffixes (RFC 9989 4.10.2, and B.4 on suffixes of several labels).
func suffixRows() []row {
	z := zone{"_dmarc.bank": rec + "; psd=y; np=quarantine", "_dmarc.mega.bank": open, "giant.bank": ""}
	long := "a.b.c.d.e.f.g.h.i.j.mail.example.com"
	return []row{
		{"the suffix speaks for one that does not", z, "giant.bank", "", "fail reject p@bank"},
		{"the suffix, for one that does not exist", z, "no.bank", "", "fail quarantine np@bank"},
		{"the suffix is silent", z, "mega.bank", "", "fail none p@mega.bank"},
		{"below one that speaks", z, "a.mega.bank", "", "fail none p@mega.bank"},
		{"the suffix itself", z, "bank", "", "fail reject p@bank"},
		{"the suffix itself, proven", z, "bank", "dkim:bank", "pass p@bank by dkim:bank"},
		{"the suffix does not prove what is below", z, "giant.bank", "dkim:bank", "fail reject p@bank"},
		{"below does not prove the suffix", z, "bank", "dkim:giant.bank", "fail reject p@bank"},
		{"nor a neighbour", z, "giant.bank", "dkim:mega.bank", "fail reject p@bank"},
		{"one organization below a suffix", z, "a.giant.bank", "dkim:b.giant.bank", "pass np@bank by dkim:b.giant.bank"},
		{"a suffix of two labels", zone{"_dmarc.co.example": rec + "; psd=y"}, "x.shop.co.example", "dkim:y.shop.co.example",
			"pass p@co.example by dkim:y.shop.co.example"},
		{"neighbours below a suffix of two labels", zone{"_dmarc.co.example": rec + "; psd=y"}, "shop.co.example",
			"dkim:shed.co.example", "fail reject p@co.example"},
		{"a record between suffix and author does not count", zone{"_dmarc.bank": rec + "; psd=y", "_dmarc.b.c.bank": open},
			"a.b.c.bank", "", "fail reject p@bank"},
		{"psd=n below a suffix", zone{"_dmarc.bank": rec + "; psd=y", "_dmarc.b.c.bank": open + "; psd=n"},
			"a.b.c.bank", "", "fail none p@b.c.bank"},
		{"a top-level domain without psd is an organization", zone{"_dmarc.lan": rec}, "a.lan", "dkim:b.lan",
			"pass p@lan by dkim:b.lan"},
		{"psd=u says nothing", zone{"_dmarc.lan": rec + "; psd=u"}, "a.lan", "dkim:b.lan", "pass p@lan by dkim:b.lan"},
		{"many labels", zone{"_dmarc.example.com": rec}, long, "dkim:example.com", "pass p@example.com by dkim:example.com"},
		{"many labels, a record out of sight", zone{"_dmarc.example.com": rec, "_dmarc.f.g.h.i.j.mail.example.com": open},
			long, "", "fail reject p@example.com"},
		{"many labels, psd=y on the way", zone{"_dmarc.g.h.i.j.mail.example.com": rec + "; psd=y"}, long,
			"dkim:x.f.g.h.i.j.mail.example.com", "pass p@g.h.i.j.mail.example.com by dkim:x.f.g.h.i.j.mail.example.com"},
	}
}

func troubleRows() []row {
	z := zone{"_dmarc.example.org": rec, "_dmarc.a.example.org": "away", "_dmarc.b.example.org": rec, "_dmarc.evil.example": "away"}
	return []row{
		{"no answer", zone{"_dmarc.example.org": "away"}, "example.org", "spf:example.org", "temperror"},
		{"no answer further up", zone{"_dmarc.org": "away"}, "example.org", "", "temperror"},
		{"no answer about existence", zone{"_dmarc.example.org": rec + "; np=none", "x.example.org": "away"}, "x.example.org",
			"", "temperror"},
		{"existence does not matter", zone{"_dmarc.example.org": rec, "x.example.org": "away"}, "x.example.org", "",
			"fail reject p@example.org"},
		{"SPF may pass later", z, "example.org", "spf?:example.org", "temperror p@example.org"},
		{"DKIM may pass later", z, "example.org", "dkim?:m.example.org", "temperror p@example.org"},
		{"DKIM passes, SPF may later", z, "example.org", "spf?:example.org dkim:example.org",
			"pass p@example.org by dkim:example.org"},
		{"a stranger's key cannot be had", z, "example.org", "dkim?:evil.example spf?:evil.example", "fail reject p@example.org"},
		{"a stranger's organization cannot be found", z, "example.org", "dkim:evil.example", "fail reject p@example.org"},
		{"a stranger's organization below the same top", zone{"_dmarc.example.org": rec, "_dmarc.evil.org": "away"},
			"example.org", "dkim:evil.org", "fail reject p@example.org"},
		{"it may be our organization", z, "example.org", "dkim:a.example.org", "temperror p@example.org"},
		{"it may be, another is", z, "example.org", "dkim:a.example.org dkim:b.example.org",
			"pass p@example.org by dkim:b.example.org"},
		{"what is identical needs no more answers", zone{"_dmarc.example.org": rec, "_dmarc.org": "away"}, "example.org",
			"dkim:example.org", "pass p@example.org by dkim:example.org"},
		{"mail that nothing proves needs no more answers", zone{"_dmarc.example.org": rec, "_dmarc.org": "away"},
			"example.org", "dkim!:example.org", "fail reject p@example.org"},
	}
}

// The names that the examples of RFC 9989 4.10 and 5.1.8 ask for.
func TestNames(t *testing.T) {
	for domain, want := range map[string]string{
		"a.b.c.d.e.f.g.h.i.j.mail.example.com": "a.b.c.d.e.f.g.h.i.j.mail.example.com g.h.i.j.mail.example.com " +
			"h.i.j.mail.example.com i.j.mail.example.com j.mail.example.com mail.example.com example.com com",
		"mail.a.b.c.d.e.f.g.example.com": "mail.a.b.c.d.e.f.g.example.com c.d.e.f.g.example.com d.e.f.g.example.com " +
			"e.f.g.example.com f.g.example.com g.example.com example.com com",
		"a.mail.example.com": "a.mail.example.com mail.example.com example.com com",
		"1.2.3.4.5.6.7.8":    "1.2.3.4.5.6.7.8 2.3.4.5.6.7.8 3.4.5.6.7.8 4.5.6.7.8 5.6.7.8 6.7.8 7.8 8",
		"0.1.2.3.4.5.6.7.8":  "0.1.2.3.4.5.6.7.8 2.3.4.5.6.7.8 3.4.5.6.7.8 4.5.6.7.8 5.6.7.8 6.7.8 7.8 8",
		"1.2.3.4.5.6.7":      "1.2.3.4.5.6.7 2.3.4.5.6.7 3.4.5.6.7 4.5.6.7 5.6.7 6.7 7",
		"localhost":          "localhost",
	} {
		if got := strings.Join(names(domain), " "); got != want {
			t.Errorf("%s: %s, want %s", domain, got, want)
		}
	}
}

// The examples of RFC 9989 4.10.2.
func TestOrg(t *testing.T) {
	for i, x := range []struct {
		z    zone
		want string
	}{
		{zone{"_dmarc.mail.example.com": rec, "_dmarc.example.com": rec}, "example.com"},
		{zone{"_dmarc.mail.example.com": rec + "; psd=n", "_dmarc.example.com": rec}, "mail.example.com"},
		{zone{"_dmarc.com": rec + "; psd=y"}, "example.com"},
		{zone{"_dmarc.example.com": rec + "; psd=y"}, "mail.example.com"},
		{zone{"_dmarc.a.mail.example.com": rec + "; psd=y", "_dmarc.example.com": rec}, "a.mail.example.com"},
		{zone{}, "a.mail.example.com"},
	} {
		l, err := Look(context.Background(), x.z, "a.mail.example.com")
		if err != nil || l.Org != x.want {
			t.Errorf("%d: %s, %v, want %s", i, l.Org, err, x.want)
		}
	}
}

// header returns the header with these fields.
func header(t *testing.T, fields string) *message.Header {
	t.Helper()
	h, err := message.Read(strings.NewReader(fields+"\n"), 1<<20, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// From decides who the author is.
func TestMessage(t *testing.T) {
	z := zone{"_dmarc.good.example": rec, "_dmarc.soft.example": soft, "_dmarc.open.example": open, "_dmarc.away.example": "away",
		"_dmarc.xn--bcher-kva.example": rec}
	const proven = "dkim:good.example dkim:soft.example"
	for _, x := range []struct{ name, fields, ids, want string }{
		{"one author", "From: a@good.example\n", proven, "pass p@good.example by dkim:good.example"},
		{"with a name", "From: \"x@y.example\" <a@good.example>\n", proven, "pass p@good.example by dkim:good.example"},
		{"upper case", "From: a@GOOD.Example\n", proven, "pass p@good.example by dkim:good.example"},
		{"a dot at the end", "From: a@good.example.\n", proven, "permerror"},
		{"folded", "From:\n a@good\n .example\n", proven, "pass p@good.example by dkim:good.example"},
		{"two fields", "From: a@good.example\nFrom: a@good.example\n", proven, "permerror"},
		{"a blank before the colon", "From: a@good.example\nFrom : a@soft.example\n", proven, "permerror"},
		{"no field", "Sender: a@good.example\n", proven, "permerror"},
		{"a control character", "From: a@good.example\x01\n", proven, "permerror"},
		{"DEL", "From: \"\x7f\" <a@good.example>\n", proven, "permerror"},
		{"NUL", "From: a@good.example\x00\n", proven, "permerror"},
		{"a CR", "From: a@good.example\rX: y\n", proven, "permerror"},
		{"no address", "From: hello\n", proven, "none"},
		{"the null path", "From: <>\n", proven, "permerror"},
		{"an empty group", "From: us:;\n", proven, "none"},
		{"a group", "From: us: a@good.example;\n", proven, "pass p@good.example by dkim:good.example"},
		{"not to be read", "From: a b <c@@d\n", proven, "permerror"},
		{"an address literal", "From: a@[192.0.2.1]\n", proven, "permerror"},
		{"an address literal beside one that fails", "From: a@[192.0.2.1], b@good.example\nSender: a@x.example\n", "", "fail reject p@good.example"},
		{"an address literal behind one that fails", "From: b@soft.example, a@[192.0.2.1]\n", "", "fail quarantine p@soft.example"},
		{"an address literal beside one that is proven", "From: b@good.example, a@[192.0.2.1]\n", proven, "permerror"},
		{"an address before the address", "From: a@other.example <b@good.example>\n", proven, "permerror"},
		{"a U-label", "From: a@b\u00fccher.example\n", "dkim:xn--bcher-kva.example",
			"pass p@xn--bcher-kva.example by dkim:xn--bcher-kva.example"},
		{"an A-label", "From: a@xn--bcher-kva.example\n", "", "fail reject p@xn--bcher-kva.example"},
		{"two of one domain", "From: a@good.example, b@Good.example\n", proven, "pass p@good.example by dkim:good.example"},
		{"two, both proven", "From: a@good.example, b@soft.example\n", proven, "pass p@good.example by dkim:good.example"},
		{"two, the first proven", "From: a@good.example, b@soft.example\n", "dkim:good.example", "fail quarantine p@soft.example"},
		{"two, none proven", "From: a@soft.example, b@good.example\n", "", "fail reject p@good.example"},
		{"two, one without a policy", "From: a@good.example, b@x.example\n", proven, "none"},
		{"two, one that cannot be looked up", "From: a@good.example, b@away.example\n", proven, "temperror"},
		{"three", "From: a@open.example, b@away.example, c@soft.example\n", "", "fail quarantine p@soft.example"},
		{"the mildest failure", "From: a@open.example, b@away.example\n", "", "fail none p@open.example"},
		{"too many", "From: " + strings.TrimSuffix(strings.Repeat("a@%d.example, ", 9), ", ") + "\n", proven, "permerror quarantine"},
	} {
		fields := x.fields
		for i := 0; strings.Contains(fields, "%d"); i++ {
			fields = strings.Replace(fields, "%d", fmt.Sprint(i), 1)
		}
		got := Message(context.Background(), z, ReadFrom(header(t, fields)), ids(x.ids))
		if says(got) != x.want {
			t.Errorf("%s: %s (%s), want %s", x.name, says(got), got.Reason, x.want)
		}
	}
}
