package check

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"paperpath/internal/authres"
	"paperpath/internal/control"
	"paperpath/internal/dns"
	"paperpath/internal/spool"
)

// ownZone answers TXT questions: the text, "" for NODATA, "!" for SERVFAIL; else NXDOMAIN.
type ownZone map[string]string

func (z ownZone) TXT(_ context.Context, name string) ([]string, error) {
	switch text, ok := z[name]; {
	case !ok:
		return nil, &dns.Error{Kind: dns.ErrNoDomain, Name: name, Type: "TXT"}
	case text == "":
		return nil, &dns.Error{Kind: dns.ErrNoData, Name: name, Type: "TXT"}
	case text == "!":
		return nil, &dns.Error{Kind: dns.ErrTemporary, Name: name, Type: "TXT"}
	default:
		return []string{"unrelated", text}, nil
	}
}

func (ownZone) Addrs(context.Context, string) ([]netip.Addr, error) { return nil, nil }
func (ownZone) PTR(context.Context, netip.Addr) ([]string, error)   { return nil, nil }
func (ownZone) MX(context.Context, string) ([]dns.MX, error)        { return nil, nil }

// pretends is a check that found these methods.
type pretends []authres.Method

func (pretends) Name() string                                { return "from" }
func (p pretends) Ask(context.Context, *Case, Query) Finding { return Finding{Methods: p} }

func strangerAt(ip string) Subject {
	s := from("bob@x.example", Subject{SMTPPeer: true, With: "ESMTP", Client: netip.MustParseAddr(ip), Envelope: to("alice@example.net")})
	return s
}

// judgeOwn judges with own-domain alone, behind what SPF and DKIM found.
func judgeOwn(t *testing.T, s Subject, z ownZone, found []authres.Method, text string, files ...string) Verdict {
	t.Helper()
	k := checkerOf(settings(t, files...), func() []row {
		return []row{{func() Check { return pretends(found) }, phaseIdentity, false}, {func() Check { return ownDomainCheck{} }, phasePolicy, true}}
	})
	k.DNS = z
	s.Body = spool.BytesBody([]byte(text))
	return k.Message(t.Context(), s, nil)
}

func TestOwnDomain(t *testing.T) {
	spf := ownZone{"example.net": "v=spf1 -all"}
	keys := ownZone{"example.net": "", "_domainkey.example.net": ""}
	pass := func(name string, p ...authres.Property) []authres.Method {
		return []authres.Method{{Name: name, Result: "pass", Properties: p}}
	}
	unknown := func(property, domain string) []authres.Method {
		return []authres.Method{{Name: map[bool]string{true: "dkim", false: "spf"}[property == "header.d"], Result: "temperror",
			Properties: []authres.Property{authres.Domain(property, domain)}}}
	}
	signed := func(d string) []authres.Method { return pass("dkim", authres.Domain("header.d", d)) }
	const ours = "From: Alice <alice@Example.NET>\n\nx\n"
	const list = "List-Id: Our friends <friends.lists.example.org>\n" + ours
	stranger := strangerAt("192.0.2.7")
	for _, c := range []struct {
		name   string
		s      Subject
		z      ownZone
		found  []authres.Method
		text   string
		want   control.CheckAction
		result string
	}{
		{"another's domain", stranger, spf, nil, "From: bob@x.example\n\n", control.CheckAccept, "none"},
		{"forged", stranger, spf, nil, ours, control.CheckJunk, "fail"},
		{"forged, with keys alone", stranger, keys, nil, ours, control.CheckJunk, "fail"},
		{"a domain without SPF and DKIM", stranger, ownZone{}, nil, ours, control.CheckTag, "fail"},
		{"a record that is no SPF", stranger, ownZone{"example.net": "v=spf10 -all"}, nil, ours, control.CheckTag, "fail"},
		{"the DNS says nothing about SPF", stranger, ownZone{"example.net": "!"}, nil, ours, control.CheckTag, "fail"},
		{"the DNS says nothing about DKIM", stranger, ownZone{"_domainkey.example.net": "!"}, nil, ours, control.CheckTag, "fail"},
		{"among others", stranger, spf, nil, "From: bob@x.example, alice@example.net\nSender: bob@x.example\n\n", control.CheckJunk, "fail"},
		{"in a group", stranger, spf, nil, "From: Us: alice@example.net;\n\n", control.CheckJunk, "fail"},
		{"folded, with a blank before the colon", stranger, spf, nil, "FROM :\n alice@example.net\n\n", control.CheckJunk, "fail"},
		{"two fields, the second is ours", stranger, spf, nil, "From: bob@x.example\nFrom: alice@example.net\n\n", control.CheckJunk, "fail"},
		{"our domain in the name alone", stranger, spf, nil, "From: \"alice@example.net\" <bob@x.example>\n\n", control.CheckAccept, "none"},
		{"a login", Subject{With: "ESMTPSA", Login: "alice@example.net", Client: stranger.Client}, spf, nil, ours, control.CheckAccept, ""},
		{"this machine", strangerAt("127.0.0.1"), spf, nil, ours, control.CheckAccept, ""},
		{"SPF", stranger, spf, pass("spf", authres.Mailbox("smtp.mailfrom", "x@example.net")), ours, control.CheckAccept, "pass"},
		{"SPF for another domain", stranger, spf, pass("spf", authres.Mailbox("smtp.mailfrom", "x@badexample.net")), ours, control.CheckJunk, "fail"},
		{"SPF fails", stranger, spf, []authres.Method{{Name: "spf", Result: "softfail", Properties: []authres.Property{authres.Domain("smtp.mailfrom", "example.net")}}}, ours, control.CheckJunk, "fail"},
		{"DKIM", stranger, spf, signed("example.net"), ours, control.CheckAccept, "pass"},
		{"DKIM of a host below", stranger, spf, signed("mail.example.net"), ours, control.CheckAccept, "pass"},
		{"DMARC", stranger, spf, pass("dmarc", authres.Domain("header.from", "example.net")), ours, control.CheckAccept, "pass"},
		{"DMARC of another", stranger, spf, pass("dmarc", authres.Domain("header.from", "x.example")), ours, control.CheckJunk, "fail"},
		{"SPF could not be checked", stranger, spf, unknown("smtp.mailfrom", "example.net"), ours, control.CheckTag, "fail"},
		{"DKIM of a host below could not be checked", stranger, spf, unknown("header.d", "mail.example.net"), ours, control.CheckTag, "fail"},
		{"a stranger's DNS is away", stranger, spf, unknown("smtp.mailfrom", "evil.example"), ours, control.CheckJunk, "fail"},
		{"a stranger's key is away", stranger, spf, unknown("header.d", "evil.example"), ours, control.CheckJunk, "fail"},
		{"a list whose DNS is away", stranger, spf, unknown("header.d", "lists.example.org"), list, control.CheckTag, "fail"},
		{"a trusted domain whose DNS is away", stranger, spf, unknown("header.d", "fwd.example"), ours, control.CheckTag, "fail"},
		{"a list", stranger, spf, signed("lists.example.org"), list, control.CheckTag, "fail"},
		{"a list, signed for its organisation", stranger, spf, signed("example.org"), list, control.CheckTag, "fail"},
		{"a list that nothing proves", stranger, spf, signed("example.com"), list, control.CheckJunk, "fail"},
		{"a List-Id without brackets", stranger, spf, signed("example.org"), "List-Id: friends.example.org\n" + ours, control.CheckTag, "fail"},
		{"a List-Id that names two", stranger, spf, signed("evil.example"), "List-Id: <x.evil.example> <friends.example.org>\n" + ours, control.CheckJunk, "fail"},
		{"a trusted host", strangerAt("198.51.100.9"), spf, nil, ours, control.CheckTag, "fail"},
		{"a trusted domain", stranger, spf, signed("fwd.example"), ours, control.CheckTag, "fail"},
		{"a trusted domain that only HELO proves", stranger, spf, pass("spf", authres.Domain("smtp.helo", "fwd.example")), ours, control.CheckTag, "fail"},
		{"below a trusted domain", stranger, spf, signed("x.fwd.example"), ours, control.CheckJunk, "fail"},
	} {
		v := judgeOwn(t, c.s, c.z, c.found, c.text, "trusted-forwarders", "198.51.100.0/24\nfwd.example\n")
		result := ""
		for _, f := range v.Found {
			if f.Name == "own-domain" {
				result = f.Result
			}
		}
		if v.Action != c.want || result != c.result {
			t.Errorf("%s: %s %s, want %s %s: %+v", c.name, v.Action, result, c.want, c.result, v.Found)
		}
	}
}

// What cannot be read about forwarders defers nothing by default, but tags.
func TestOwnDomainTrouble(t *testing.T) {
	const ours = "From: alice@example.net\n\nx\n"
	spf := ownZone{"example.net": "v=spf1 -all"}
	v := judgeOwn(t, strangerAt("192.0.2.7"), spf, nil, ours, "trusted-forwarders", "192.0.2.0/33\n")
	if v.Action != control.CheckTag {
		t.Errorf("%s %v", v.Action, v.Found)
	}
	for row, want := range map[string]control.CheckAction{"own-domain: off": control.CheckAccept, "own-domain: refuse": control.CheckRefuse,
		"own-domain: tag": control.CheckTag} {
		if v := judgeOwn(t, strangerAt("192.0.2.7"), spf, nil, ours, "checks", row+"\n"); v.Action != want {
			t.Errorf("%s: %s", row, v.Action)
		}
	}
}

// The verdict is in our results, by which maildeliver files; a person looks first where
// control/junk says so.
func TestJunkVerdict(t *testing.T) {
	const ours = "From: alice@example.net\n\nx\n"
	for setting, want := range map[string]control.CheckAction{"folder\n": control.CheckJunk, "header\n": control.CheckJunk,
		"hold\n": control.CheckHold, "what\n": control.CheckDefer} {
		v := judgeOwn(t, strangerAt("192.0.2.7"), ownZone{"example.net": "v=spf1 mx -all"}, nil, ours, "junk", setting)
		if v.Action != want || (v.Err == nil) != v.Passes() {
			t.Errorf("%q: %s, %v", setting, v.Action, v.Err)
		}
		if want == control.CheckHold && !strings.Contains(v.Reason(), "own-domain: From claims example.net") {
			t.Errorf("held because of %q", v.Reason())
		}
		field, err := authres.Read(strings.NewReader(strings.Join(v.Results, "")))
		if why, junk := field.Junk(); err != nil || !junk || why != "own-domain" {
			t.Errorf("%q: %v, %q in %q", setting, err, why, v.Results)
		}
	}
	v := judgeOwn(t, strangerAt("192.0.2.7"), ownZone{}, nil, ours)
	if got := strings.Join(v.Results, ""); !strings.Contains(got, "x-paperpath=tag (From claims example.net") {
		t.Errorf("tagged: %q", got)
	}
}
