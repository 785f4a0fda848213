package check

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"paperpath/internal/addr"
	"paperpath/internal/dns"
	"paperpath/internal/dns/dnstest"
	"paperpath/internal/explain"
	"paperpath/internal/spool"
)

// What mailcheck dmarc says a record means.
func TestDMARCFace(t *testing.T) {
	r := dns.New(at(dnstest.New(t, `_dmarc.a.example TXT "v=DMARC1; p=reject"
_dmarc.b.example TXT "v=DMARC1; p=reject; t=y; adkim=s"
_dmarc.c.example TXT "v=DMARC1; p=bogus"
_dmarc.d.example TXT "v=DMARC1; p=bogus; rua=mailto:x@d.example"
_dmarc.e.example !servfail
`).Addr))
	for domain, want := range map[string]struct{ outcome, step string }{
		"a.example": {"reject: mail that neither SPF nor DKIM proves is refused", "alignment: DKIM relaxed (the same organization), SPF relaxed (the same organization)"},
		"b.example": {"quarantine: mail that neither SPF nor DKIM proves is junk", "alignment: DKIM strict (the same domain), SPF relaxed (the same organization)"},
		"c.example": {"none: the record says nothing, because ", "defect: "},
		"d.example": {"none: mail that neither SPF nor DKIM proves is accepted like other mail", "reports: mailto:x@d.example"},
		"e.example": {"temperror: ", ""},
		"f.example": {"none: nothing says what becomes of mail that f.example has not sent", ""},
	} {
		var trail explain.Trail
		err := DMARC(context.Background(), r, domain, &trail)
		var b strings.Builder
		trail.Write(&b, false)
		if !strings.HasPrefix(trail.Outcome, want.outcome) || !strings.Contains(b.String(), want.step) ||
			(err == nil) != (domain == "a.example" || domain == "b.example" || domain == "d.example") {
			t.Errorf("%s: %v\n%s", domain, err, b.String())
		}
	}
}

// What mailcheck spf says of both names, and which result is its answer.
func TestSPFFace(t *testing.T) {
	r := newStrangers(t).dns
	from, err := addr.Parse("a@plain.example")
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		from       addr.Address
		helo, want string
		passes     bool
	}{
		{from, "", "pass for MAIL FROM a@plain.example", true},
		{from, "bare.example", "pass for MAIL FROM a@plain.example, fail for HELO bare.example", false},
		{addr.Address{}, "plain.example", "pass for HELO plain.example", true},
	} {
		var trail explain.Trail
		err := SPF(context.Background(), r, netip.MustParseAddr("192.0.2.1"), x.from, x.helo, &trail)
		if trail.Outcome != x.want || (err == nil) != x.passes {
			t.Errorf("%q, %v; want %q", trail.Outcome, err, x.want)
		}
	}
}

// The policy of a domain that tests it is explained as such, and no other.
func TestTestedPolicyIsExplained(t *testing.T) {
	s := newStrangers(t)
	for author, tested := range map[string]bool{"a@test.example": true, "a@reject.example": false} {
		var trail explain.Trail
		s.checker("", "", nil).Message(t.Context(), identityRow{client: "192.0.2.9", from: "a@other.example", author: author}.subject(t), &trail)
		var b strings.Builder
		trail.Write(&b, false)
		if strings.Contains(b.String(), ", being tested") != tested {
			t.Errorf("%s: %s", author, b.String())
		}
	}
}

// A transaction begins without what a check found in the one before, even if nobody has ended
// that.
func TestMailBeginsAnew(t *testing.T) {
	var over []string
	k := checkerOf(settings(t, "checks", "fields: tag\n"), func() []row {
		f := fake{name: "fields", over: &over, soon: func(m *Case) Finding { return Finding{Fails: m.Envelope.From.Addr == "bad@x.example"} },
			ask: func(context.Context, *Case, Query) Finding { return Finding{} }, rcpt: func(spool.Recipient) Finding { return Finding{} }}
		return []row{{make: func() Check { return f }, phase: phaseFormat}}
	})
	s := k.Session()
	defer s.Close()
	sub := stranger()
	for _, from := range []string{"bad@x.example", "good@x.example"} {
		sub.Envelope.From.Addr = from
		if err := s.Mail(t.Context(), sub); err != nil {
			t.Fatal(err)
		}
	}
	if v := s.Message(t.Context(), sub, nil); v.Action != "accept" || len(over) != 1 {
		t.Errorf("%s, %q", v, over)
	}
}
