package spf

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"paperpath/internal/addr"
	"paperpath/internal/dns"
)

// zone is a DNS: "TYPE name" leads to values with " | " between them; "away" is an answer
// that does not come.
type zone map[string]string

func (z zone) find(kind, name string) ([]string, error) {
	name = addr.Fold(strings.TrimSuffix(name, "."))
	if _, err := dns.ASCII(name); err != nil {
		return nil, err
	}
	switch text := z[kind+" "+name]; {
	case text == "away":
		return nil, &dns.Error{Kind: dns.ErrTemporary, Name: name, Type: kind}
	case text != "":
		return strings.Split(text, " | "), nil
	}
	for key := range z {
		if strings.HasSuffix(key, " "+name) {
			return nil, &dns.Error{Kind: dns.ErrNoData, Name: name, Type: kind}
		}
	}
	return nil, &dns.Error{Kind: dns.ErrNoDomain, Name: name, Type: kind}
}

func (z zone) TXT(_ context.Context, name string) ([]string, error) { return z.find("TXT", name) }

func (z zone) MX(_ context.Context, name string) (list []dns.MX, err error) {
	hosts, err := z.find("MX", name)
	for _, host := range hosts {
		list = append(list, dns.MX{Host: host})
	}
	return list, err
}

func (z zone) Addrs(_ context.Context, name string) (list []netip.Addr, err error) {
	texts, err := z.find("A", name)
	for _, text := range texts {
		list = append(list, netip.MustParseAddr(text))
	}
	return list, err
}

func (z zone) PTR(_ context.Context, ip netip.Addr) ([]string, error) {
	return z.find("PTR", strings.ReplaceAll(ip.String(), ":", "-"))
}

func path(t *testing.T, s string) addr.Address {
	t.Helper()
	if s == "" {
		return addr.Address{}
	}
	a, err := addr.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// appendixA is the zone of RFC 7208 A, where example.com has a record that each test sets.
func appendixA(record string) zone {
	return zone{"TXT example.com": record, "MX example.com": "mail-a.example.com | mail-b.example.com",
		"A example.com": "192.0.2.10 | 192.0.2.11", "A amy.example.com": "192.0.2.65", "A bob.example.com": "192.0.2.66",
		"A mail-a.example.com": "192.0.2.129", "A mail-b.example.com": "192.0.2.130",
		"MX example.org": "mail-c.example.org", "A mail-c.example.org": "192.0.2.140",
		"PTR 192.0.2.10": "example.com", "PTR 192.0.2.11": "example.com", "PTR 192.0.2.65": "amy.example.com",
		"PTR 192.0.2.66": "bob.example.com", "PTR 192.0.2.129": "mail-a.example.com", "PTR 192.0.2.130": "mail-b.example.com",
		"PTR 192.0.2.140": "mail-c.example.org", "PTR 10.0.0.4": "bob.example.com"}
}

// The examples of RFC 7208 A.1: which hosts pass, which do not.
func TestSimpleExamples(t *testing.T) {
	for _, x := range []struct{ record, pass, fail string }{
		{"v=spf1 +all", "192.0.2.10 203.0.113.1 2001:db8::1", ""},
		{"v=spf1 a -all", "192.0.2.10 192.0.2.11", "192.0.2.129 203.0.113.1"},
		{"v=spf1 a:example.org -all", "", "192.0.2.10 192.0.2.140"},
		{"v=spf1 mx -all", "192.0.2.129 192.0.2.130", "192.0.2.10 192.0.2.140"},
		{"v=spf1 mx:example.org -all", "192.0.2.140", "192.0.2.129"},
		{"v=spf1 mx mx:example.org -all", "192.0.2.129 192.0.2.130 192.0.2.140", "192.0.2.10"},
		{"v=spf1 mx/30 mx:example.org/30 -all", "192.0.2.128 192.0.2.131 192.0.2.140 192.0.2.143", "192.0.2.132 192.0.2.144"},
		{"v=spf1 ptr -all", "192.0.2.10 192.0.2.65 192.0.2.129", "192.0.2.140 10.0.0.4"},
		{"v=spf1 ip4:192.0.2.128/28 -all", "192.0.2.129 192.0.2.143", "192.0.2.65 192.0.2.144"},
	} {
		for want, list := range map[Status]string{Pass: x.pass, Fail: x.fail} {
			for ip := range strings.FieldsSeq(list) {
				got := CheckMailFrom(context.Background(), appendixA(x.record), netip.MustParseAddr(ip), "h.example", path(t, "a@example.com"))
				if got.Status != want || got.Record != x.record {
					t.Errorf("%s from %s: %s (%s), want %s", x.record, ip, got.Status, got.Reason, want)
				}
			}
		}
	}
}

// The examples of RFC 7208 A.2 to A.4: several domains, users, several demands.
func TestOtherExamples(t *testing.T) {
	z := appendixA("v=spf1 mx include:mobile-users._spf.%{d} include:remote-users._spf.%{d} -all")
	for name, text := range map[string]string{
		"TXT example.org":                                    "v=spf1 include:org.example include:example.net -all",
		"TXT la.example.org":                                 "v=spf1 redirect=example.org",
		"TXT org.example":                                    "v=spf1 ip4:203.0.113.1 -all",
		"TXT example.net":                                    "v=spf1 ip4:203.0.113.2 -all",
		"TXT mobile-users._spf.example.com":                  "v=spf1 exists:%{l1r+}.%{d}",
		"A mary.mobile-users._spf.example.com":               "127.0.0.2",
		"TXT remote-users._spf.example.com":                  "v=spf1 exists:%{ir}.%{l1r+}.%{d}",
		"A 15.15.168.192.joel.remote-users._spf.example.com": "127.0.0.2",
		"TXT both.example":                                   "v=spf1 -include:ip4._spf.%{d} -include:ptr._spf.%{d} +all",
		"TXT ip4._spf.both.example":                          "v=spf1 -ip4:192.0.2.0/24 +all",
		"TXT ptr._spf.both.example":                          "v=spf1 -ptr:example.com +all",
	} {
		z[name] = text
	}
	for _, x := range []struct {
		ip, from string
		want     Status
	}{
		{"203.0.113.1", "a@example.org", Pass}, {"203.0.113.2", "a@la.example.org", Pass}, {"203.0.113.3", "a@la.example.org", Fail},
		{"203.0.113.3", "mary@example.com", Pass}, {"203.0.113.3", "mary+tag@example.com", Pass},
		{"203.0.113.3", "fred@example.com", Fail}, {"192.168.15.15", "joel@example.com", Pass},
		{"192.168.15.16", "joel@example.com", Fail}, {"192.0.2.65", "a@both.example", Pass},
		{"192.0.2.140", "a@both.example", Fail}, {"10.0.0.4", "a@both.example", Fail},
	} {
		got := CheckMailFrom(context.Background(), z, netip.MustParseAddr(x.ip), "h.example", path(t, x.from))
		if got.Status != x.want {
			t.Errorf("%s from %s: %s (%s), want %s; %v", x.from, x.ip, got.Status, got.Reason, x.want, got.Queries)
		}
	}
}

// The examples of RFC 7208 7.4, as names that are asked.
func TestMacroExamples(t *testing.T) {
	const v4, v6 = "192.0.2.3", "2001:db8::cb01"
	for _, x := range []struct{ macro, ip, want string }{
		{"%{o}", v4, "email.example.com"}, {"%{d}", v4, "email.example.com"}, {"%{d4}", v4, "email.example.com"},
		{"%{d3}", v4, "email.example.com"}, {"%{d2}", v4, "example.com"}, {"%{dr}", v4, "com.example.email"},
		{"%{d2r}", v4, "example.email"}, {"%{l}.x", v4, "strong-bad.x"}, {"%{l-}", v4, "strong.bad"},
		{"%{lr}.x", v4, "strong-bad.x"}, {"%{lr-}", v4, "bad.strong"}, {"%{l1r-}.x", v4, "strong.x"},
		{"%{ir}.%{v}._spf.%{d2}", v4, "3.2.0.192.in-addr._spf.example.com"},
		{"%{lr-}.lp._spf.%{d2}", v4, "bad.strong.lp._spf.example.com"},
		{"%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", v4, "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"},
		{"%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", v4, "3.2.0.192.in-addr.strong.lp._spf.example.com"},
		{"%{d2}.trusted-domains.example.net", v4, "example.com.trusted-domains.example.net"},
		{"%{ir}.%{v}._spf.%{d2}", v6, "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com"},
	} {
		z := zone{"TXT email.example.com": "v=spf1 exists:" + x.macro}
		got := CheckMailFrom(context.Background(), z, netip.MustParseAddr(x.ip), "h.example", path(t, "strong-bad@email.example.com"))
		if n := len(got.Queries); n != 2 || got.Queries[1].Name != x.want {
			t.Errorf("%s: %v, want %s", x.macro, got.Queries, x.want)
		}
	}
}

// What is checked, and what it means.
func TestCheck(t *testing.T) {
	z := zone{"TXT bare.example": "v=spf1 -all", "TXT loud.example": "V=SPF1   -ALL ", "TXT a.example": "other | v=spf1 ip4:192.0.2.1 -all",
		"TXT soft.example": "v=spf1 ~all", "TXT open.example": "v=spf1 ?all", "TXT empty.example": "v=spf1", "TXT text.example": "hello",
		"TXT away.example": "away", "TXT two.example": "v=spf1 -all | v=spf1 +all", "TXT late.example": "v=spf1 ip4:192.0.2.1 -all moo",
		"TXT inc.example": "v=spf1 include:nothing.example -all", "TXT part.example": "v=spf1 a:away.example -all", "A away.example": "away",
		"TXT loop.example": "v=spf1 include:loop.example", "TXT round.example": "v=spf1 redirect=%{d}", "TXT void.example": "v=spf1 a:1.void.example a:2.void.example a:3.void.example",
		"TXT only.example": "v=spf1 redirect=bare.example", "TXT xn--bcher-kva.example": "v=spf1 +all", "TXT helo.example": "v=spf1 ip4:192.0.2.1 -all",
		"TXT inner.example": "v=spf1 exists:%{l}.%{o}.x.example -all", "A a=evil.example.inner.example.x.example": "127.0.0.2",
		"TXT many.example": "v=spf1 mx -all", "MX many.example": strings.TrimSuffix(strings.Repeat("m.example | ", 11), " | "),
		"TXT host.example": "v=spf1 a:%{h} -all", "A h.example": "192.0.2.1", "TXT evil.example": "v=spf1 +all"}
	for _, x := range []struct{ ip, helo, from, want string }{
		{"192.0.2.1", "h.example", "u@a.example", "pass mailfrom u@a.example"},
		{"::ffff:192.0.2.1", "h.example", "u@A.Example", "pass mailfrom u@a.example"},
		{"192.0.2.2", "h.example", "u@a.example", "fail mailfrom u@a.example"},
		{"2001:db8::1", "h.example", "u@a.example", "fail mailfrom u@a.example"},
		{"192.0.2.2", "h.example", "u@bare.example", "fail mailfrom u@bare.example bare"},
		{"192.0.2.2", "h.example", "u@loud.example", "fail mailfrom u@loud.example bare"},
		{"192.0.2.2", "h.example", "u@only.example", "fail mailfrom u@only.example"},
		{"192.0.2.2", "h.example", "u@soft.example", "softfail mailfrom u@soft.example"},
		{"192.0.2.2", "h.example", "u@open.example", "neutral mailfrom u@open.example"},
		{"192.0.2.2", "h.example", "u@empty.example", "neutral mailfrom u@empty.example"},
		{"192.0.2.2", "h.example", "u@text.example", "none mailfrom u@text.example"},
		{"192.0.2.2", "h.example", "u@nothing.example", "none mailfrom u@nothing.example"},
		{"192.0.2.2", "h.example", "u@away.example", "temperror mailfrom u@away.example"},
		{"192.0.2.2", "h.example", "u@part.example", "temperror mailfrom u@part.example"},
		{"192.0.2.2", "h.example", "u@two.example", "permerror mailfrom u@two.example"},
		{"192.0.2.1", "h.example", "u@late.example", "permerror mailfrom u@late.example"},
		{"192.0.2.2", "h.example", "u@inc.example", "permerror mailfrom u@inc.example"},
		{"192.0.2.2", "h.example", "u@loop.example", "permerror mailfrom u@loop.example"},
		{"192.0.2.2", "h.example", "u@round.example", "permerror mailfrom u@round.example"},
		{"192.0.2.2", "h.example", "u@void.example", "permerror mailfrom u@void.example"},
		{"192.0.2.2", "h.example", "u@many.example", "permerror mailfrom u@many.example"},
		{"192.0.2.1", "h.example", "u@host.example", "pass mailfrom u@host.example"},
		{"192.0.2.1", "[192.0.2.1]", "u@host.example", "fail mailfrom u@host.example"},
		{"192.0.2.2", "h.example", "u@b\u00fccher.example", "pass mailfrom u@xn--bcher-kva.example"},
		{"192.0.2.1", "h.example", "u@localhost", "none mailfrom "},
		{"192.0.2.1", "h.example", "u@[192.0.2.1]", "none mailfrom "},
		// An @ in a local part must not choose the domain.
		{"192.0.2.2", "h.example", `"x@evil.example"@a.example`, "fail mailfrom x=evil.example@a.example"},
		{"192.0.2.2", "h.example", `"a@evil.example"@inner.example`, "fail mailfrom a=evil.example@inner.example"},
		{"192.0.2.1", "helo.example", "", "pass helo postmaster@helo.example"},
		{"192.0.2.2", "helo.example", "", "fail helo postmaster@helo.example"},
		{"192.0.2.2", "bare.example", "", "fail helo postmaster@bare.example bare"},
		{"192.0.2.1", "[192.0.2.1]", "", "none helo "},
		{"192.0.2.1", "192.0.2.1", "", "none helo "},
		{"192.0.2.1", "localhost", "", "none helo "},
		{"192.0.2.1", "a b", "", "none helo "},
		{"192.0.2.1", "", "", "none helo "},
	} {
		got := CheckMailFrom(context.Background(), z, netip.MustParseAddr(x.ip), x.helo, path(t, x.from))
		s := fmt.Sprintf("%s %s %s", got.Status, got.Scope, got.Sender)
		if got.Bare() {
			s += " bare"
		}
		if s != x.want || got.Reason == "" {
			t.Errorf("%s %s %s: %q (%s), want %q; %v", x.ip, x.helo, x.from, s, got.Reason, x.want, got.Queries)
		}
	}
}

// A record that is longer than any honest one is not valid: reading it takes too long.
func TestLongRecord(t *testing.T) {
	for _, x := range []struct {
		octets int
		want   Status
	}{{8192, Pass}, {8193, PermError}, {65000, PermError}} {
		record := "v=spf1 +all" + strings.Repeat(" ", x.octets-len("v=spf1 +all"))
		got := CheckMailFrom(context.Background(), zone{"TXT a.example": record}, netip.MustParseAddr("192.0.2.1"), "h.example", path(t, "a@a.example"))
		if got.Status != x.want {
			t.Errorf("%d octets: %s (%s), want %s", x.octets, got.Status, got.Reason, x.want)
		}
	}
}

// What is wrong with a record makes all of it invalid, wherever that stands.
func TestInvalidRecords(t *testing.T) {
	for _, term := range []string{"redirect=b.example redirect=b.example", "exp=b.example exp=b.example", "redirect=%{d", "redirect=", "exp=",
		"a/33", "a//129", "a:b.example/32//129", "mx/99", "ip4:1.2.3.256", "ip4:1.2.3", "ip4:1.2.3.4/33", "ip6:1.2.3.4", "ip6:::1/129", "ip6:::g",
		"ip4:::1", "all:x", "include", "include:", "exists", "exists:b", "ptr:", "a:b.example/", "moo", "-", "%{d}=x"} {
		z := zone{"TXT a.example": "v=spf1 +all " + term, "TXT b.example": "v=spf1 -all"}
		got := CheckMailFrom(context.Background(), z, netip.MustParseAddr("192.0.2.1"), "h.example", path(t, "a@a.example"))
		if got.Status != PermError || !strings.Contains(got.Reason, "record") {
			t.Errorf("%s: %s (%s)", term, got.Status, got.Reason)
		}
	}
	for _, term := range []string{"a/32", "a//128", "mx/0", "ip4:1.2.3.4/32", "ip6:::1/128", "ip6:::ffff:1.2.3.4", "x=%{c}", "exp=%{i}.b.example"} {
		z := zone{"TXT a.example": "v=spf1 +all " + term}
		if got := CheckMailFrom(context.Background(), z, netip.MustParseAddr("192.0.2.1"), "h.example", path(t, "a@a.example")); got.Status != Pass {
			t.Errorf("%s: %s (%s)", term, got.Status, got.Reason)
		}
	}
}

// Ten terms that need the DNS are followed, an eleventh is not; the reason names the limit.
func TestLookupLimits(t *testing.T) {
	for _, x := range []struct {
		record string
		want   Status
		reason string
	}{
		{strings.Repeat("a:x.example ", 10) + "+all", Pass, ""},
		{strings.Repeat("a:x.example ", 11) + "+all", PermError, "the record of a.example needs more than 10 lookups"},
		{strings.Repeat("a:void.example ", 2) + "+all", Pass, ""},
		{strings.Repeat("a:void.example ", 3) + "+all", PermError, "the record of a.example names more than 2 hosts that do not exist"},
		{"mx:many.example +all", PermError, "the record of a.example names a domain with more than 10 mail exchangers"},
		{"include:two.example +all", PermError, "there are several SPF records of one name"},
		{"include:none.example +all", PermError, "the record of a.example leads to a name without an SPF record"},
		{"include:bad.example +all", PermError, "bad.example publishes an invalid record: \"moo\": neither a mechanism nor a modifier"},
		{"a:away.example +all", TempError, "the DNS did not answer: DNS A away.example: "},
		{"a:x.example", Neutral, "no term of the record matches"},
		{"?all", Neutral, "matched all"},
	} {
		z := zone{"TXT a.example": "v=spf1 " + x.record, "A x.example": "192.0.2.9", "A away.example": "away", "TXT bad.example": "v=spf1 moo",
			"TXT two.example": "v=spf1 -all | v=spf1 +all", "MX many.example": strings.TrimSuffix(strings.Repeat("m.example | ", 11), " | ")}
		got := CheckMailFrom(context.Background(), z, netip.MustParseAddr("192.0.2.1"), "h.example", path(t, "a@a.example"))
		if got.Status != x.want || !strings.HasPrefix(got.Reason, x.reason) {
			t.Errorf("%s: %s (%s), want %s (%s)", x.record, got.Status, got.Reason, x.want, x.reason)
		}
	}
	got := CheckMailFrom(context.Background(), zone{}, netip.MustParseAddr("192.0.2.1"), "h.example", path(t, "a@a.example"))
	if got.Status != None || got.Reason != "a.example publishes no SPF record" {
		t.Errorf("%+v", got)
	}
}

// A name that is too long loses labels on the left (RFC 7208 7.3).
func TestFitted(t *testing.T) {
	long := strings.Repeat("0123456789.", 23)
	for name, want := range map[string]string{"x.example": "x.example", long: long, long + "x.example": long[11:] + "x.example",
		long + long + "x.example.": long[11:] + "x.example.", strings.Repeat("x", 300): strings.Repeat("x", 300)} {
		if got := fitted(name); got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
}

// A check ends with its context.
func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	got := CheckMailFrom(ctx, slow{}, netip.MustParseAddr("192.0.2.1"), "h.example", path(t, "a@a.example"))
	if got.Status != TempError {
		t.Errorf("%+v", got)
	}
}

// slow answers when the context ends.
type slow struct{ zone }

func (slow) TXT(ctx context.Context, name string) ([]string, error) {
	<-ctx.Done()
	return nil, &dns.Error{Kind: dns.ErrTemporary, Name: name, Type: "TXT", Err: ctx.Err()}
}

// What is valid at first sight is so by the grammar.
func TestPlainTerms(t *testing.T) {
	for _, c := range []struct {
		term string
		want bool
	}{
		{"all", true}, {"-all", true}, {"~a", true}, {"?mx", true}, {"+ip4:192.0.2.1", true}, {"ip4:192.0.2.0/24", true}, {"ip4:0.0.0.0/0", true},
		{"ip4:192.0.2.0/33", false}, {"ip4:192.0.2.0/024", false}, {"ip4:192.0.2.0/", false}, {"ip4:192.0.2", false}, {"ip4:192.0.02.1", false},
		{"ip4:", false}, {"ip4:2001:db8::1", false}, {"ip4:::ffff:192.0.2.1", false}, {"ip4:192.0.2.1%x", false}, {"ip4:192.0.2.1/1/1", false},
		{"--all", false}, {"", false}, {"-", false}, {"all:x", false}, {"a:x.example", false}, {"ALL", false}, {"a=b", false},
	} {
		if got := isPlain(c.term); got != c.want {
			t.Errorf("%q: %v", c.term, got)
		}
		if m := isMechanism().MatchString(c.term); c.want && !m {
			t.Errorf("the grammar does not have %q", c.term)
		}
	}
}

// FuzzRecord: no record makes the check fail otherwise than it should.
func FuzzRecord(f *testing.F) {
	for _, s := range []string{"v=spf1 a mx/24//64 ptr ip4:192.0.2.0/24 ip6:2001:db8::/32 exists:%{ir}.x.example include:a.example -all",
		"v=spf1 redirect=%{d2}.example exp=e.example x=%{c}", "v=spf1 a:%{l1r-}.%{o}.example ~all", "v=spf1 a:x.example/0//0"} {
		f.Add(s, "u", "h.example")
	}
	f.Fuzz(func(t *testing.T, record, local, helo string) {
		z := zone{"TXT a.example": record, "A a.example": "192.0.2.1"}
		got := CheckMailFrom(context.Background(), z, netip.MustParseAddr("192.0.2.1"), helo, addr.Address{Local: local, Domain: "a.example"})
		if got.Status == TempError || len(got.Queries) > 300 || strings.Count(got.Sender, "@") != 1 {
			t.Fatalf("%+v", got)
		}
		if got.Status != PermError && got.Record != "" && invalid(got.Record) != nil && !strings.Contains(record, " | ") {
			t.Fatalf("%+v though %v", got, invalid(got.Record))
		}
	})
}
