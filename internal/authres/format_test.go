package authres

import (
	"strings"
	"testing"
)

func TestFormat(t *testing.T) {
	for _, c := range []struct {
		name    string
		methods []Method
		want    string
	}{
		{"nothing was tried", nil, "Authentication-Results: mx.example.net; none\n"},
		{"one", []Method{{Name: "spf", Result: "pass", Properties: []Property{
			Mailbox("smtp.mailfrom", "alice@Example.ORG"), Domain("smtp.helo", "mail.example.org.")}}},
			`Authentication-Results: mx.example.net;
 spf=pass smtp.mailfrom=alice@example.org smtp.helo=mail.example.org
`},
		{"all", []Method{
			{Name: "iprev", Result: "pass", Properties: []Property{{"policy.iprev", "2001:db8::7"}}},
			{Name: "dkim", Result: "fail", Comment: "the body has changed; dkim=pass (l=)", Properties: []Property{
				Domain("header.d", "example.org"), Mailbox("header.i", "@example.org"), Domain("header.s", "s1"),
				{"header.b", "ab/+cd=="}, {"header.a", "rsa-sha256"}}},
			{Name: "dmarc", Result: "fail", Reason: "p=reject", Properties: []Property{Domain("header.from", "b\u00fccher.example"),
				{"policy.dmarc", "reject"}, {"policy.empty", ""}}},
			{Name: Paperpath, Result: Junk, Reason: "dmarc"},
		}, `Authentication-Results: mx.example.net;
 iprev=pass policy.iprev="2001:db8::7";
 dkim=fail (the body has changed, dkim:pass [l:]) header.d=example.org
 header.i=@example.org header.s=s1 header.b="ab/+cd==" header.a=rsa-sha256;
 dmarc=fail reason="p=reject" header.from=xn--bcher-kva.example
 policy.dmarc=reject;
 x-paperpath=junk reason=dmarc
`},
		{"an address that others would take apart", []Method{{Name: "spf", Result: "none", Properties: []Property{
			Mailbox("smtp.mailfrom", `"a; dkim=pass"@example.org`), Mailbox("smtp.mailfrom", "bounce+a=b.example@example.org"),
			Mailbox("smtp.mailfrom", "x@[192.0.2.1]"), Domain("smtp.helo", "a b"), Mailbox("smtp.mailfrom", "j\u00f6rg@example.org")}}},
			`Authentication-Results: mx.example.net;
 spf=none smtp.mailfrom=example.org
 smtp.mailfrom="bounce+a=b.example@example.org" smtp.mailfrom=example.org
`},
		{"hostile words", []Method{{Name: "SPF;x", Result: "pa\nss", Reason: "a\"b\\c\r\nX: y", Comment: "\x1b[2J)\n\n(",
			Properties: []Property{{"smtp.a b", "v"}}}},
			`Authentication-Results: mx.example.net;
 spfx=pass (/x1b[2J] [) reason="a\"b\\c  X: y" smtp.ab=v
`},
		{"an address is no value of a reason", []Method{{Name: "spf", Result: "fail", Reason: "a@example.org"}},
			"Authentication-Results: mx.example.net;\n spf=fail reason=\"a@example.org\"\n"},
		{"long comments fold", []Method{{Name: "spf", Result: "fail", Comment: strings.Repeat("word ", 60)}},
			`Authentication-Results: mx.example.net;
 spf=fail (word word word word word word word word word word word word word
 word word word word word word word word word word word word word word word
 word word word word word word word word word word word wo...)
`},
		{"too long for a value", []Method{{Name: "spf", Result: "fail", Properties: []Property{
			{"smtp.mailfrom", strings.Repeat("a", maxValue+1)}}}},
			"Authentication-Results: mx.example.net;\n spf=fail\n"},
	} {
		if got := Format("mx.example.net", c.methods); got != c.want {
			t.Errorf("%s:\n%s\nwant:\n%s", c.name, got, c.want)
		}
	}
}
