package control

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// decide returns the action of the rule that decides about a reply, and its line.
func (f *fixture) decide(text, host, domain string) string {
	f.t.Helper()
	reply, err := ParseReply(text, host, domain)
	if err != nil {
		f.t.Fatal(err)
	}
	rule, err := f.ReplyRule(reply)
	switch {
	case err != nil:
		return err.Error()
	case rule == nil:
		return "none"
	case rule.For > 0:
		return fmt.Sprintf("%s %v", rule.Action, rule.For)
	}
	return string(rule.Action)
}

// TestBuiltInReplyRules: every rule parses, and the page has it.
func TestBuiltInReplyRules(t *testing.T) {
	rules, texts := BuiltInReplyRules(), builtInReplyRules()
	if len(rules) != len(texts) || len(rules) < 15 {
		t.Fatalf("%d of %d rules parse", len(rules), len(texts))
	}
	page := controlPage(t)
	for i, text := range texts {
		if _, err := parseReplyRule("x", text); err != nil || rules[i].Text != text {
			t.Errorf("%q: %v", text, err)
		}
		var said []string
		for _, word := range strings.Fields(text) {
			host, is := strings.CutPrefix(word, "host=.")
			if !is {
				said = append(said, strings.ReplaceAll(word, `\`, `\e`))
			} else if !strings.Contains(page, host) {
				t.Errorf("control(5) does not name %s", host)
			}
		}
		if !strings.Contains(page, "\n"+strings.Join(said, " ")+"\n") {
			t.Errorf("control(5) does not have %q", text)
		}
	}
}

// TestBuiltInRulesInForce: check prints them behind the rows of the file, unless one of
// those matches every reply.
func TestBuiltInRulesInForce(t *testing.T) {
	all := len(builtInReplyRules())
	for _, c := range []struct {
		file string
		want int
		has  string
	}{
		{"", all, "421 4.7.28: slow 10m (built-in:1)"},
		{"550 5.7.1: retry\n", 1 + all, "550 5.7.1: retry (control/reply-rules:1)"},
		{"550 5.7.1: retry\n*: standard\n", 2, "*: standard (control/reply-rules:2)"},
	} {
		files := map[string]string{}
		if c.file != "" {
			files["reply-rules"] = c.file
		}
		n, has := 0, false
		for _, v := range newFixture(t, files).Check().InForce {
			if v.Setting == "reply-rules" {
				n++
				has = has || strings.HasSuffix(v.Text+" ("+v.From+")", c.has)
			}
		}
		if n != c.want || !has {
			t.Errorf("%q: %d rules, want %d; %q among them: %v", c.file, n, c.want, c.has, has)
		}
	}
}

// TestRepliesOfProviders: replies as these hosts really send them, and what is decided.
func TestRepliesOfProviders(t *testing.T) {
	f := newFixture(t, nil)
	const (
		gmail   = "gmail-smtp-in.l.google.com"
		outlook = "hotmail-com.olc.protection.outlook.com"
		m365    = "example-org.mail.protection.outlook.com"
		yahoo   = "mta5.am0.yahoodns.net"
		icloud  = "mx01.mail.icloud.com"
		gmx     = "mx00.gmx.net"
		any     = "mx.example.org"
	)
	for _, c := range []struct{ host, reply, want string }{
		{gmail, "421-4.7.28 Our system has detected an unusual rate of unsolicited mail 421 4.7.28 originating from your IP", "slow 10m0s"},
		{gmail, "421-4.7.0 [192.0.2.1] Our system has detected an unusual rate of 421-4.7.0 unsolicited mail originating from your IP address.", "slow 10m0s"},
		{gmail, "450 4.2.1 The user you are trying to contact is receiving mail too quickly.", "none"},
		{gmail, "452 4.2.2 The email account that you tried to reach is over quota.", "none"},
		{gmail, "550-5.1.1 The email account that you tried to reach does not exist.", "none"},
		{gmail, "550 5.4.5 Daily user sending limit exceeded.", "slow 1h0m0s"},
		{gmail, "550-5.7.25 [2001:db8::1] The IP address sending this message does not have a PTR record setup", "other-family"},
		{gmail, "550-5.7.26 Unauthenticated email from example.org is not accepted due to domain's DMARC policy.", "other-family"},
		{gmail, "550-5.7.1 [2001:db8::1] Our system has detected that this message does 550-5.7.1 not meet IPv6 sending guidelines", "other-family"},
		{gmail, "552 5.3.4 Your message exceeded the size limits.", "none"},
		{outlook, "421 RP-001 (COL0-MC3-F15) Unfortunately, some messages from 192.0.2.1 weren't sent.", "slow 30m0s"},
		{outlook, "451 4.7.650 The mail server [192.0.2.1] has been temporarily rate limited due to IP reputation.", "slow 15m0s"},
		{outlook, "550 SC-001 (BAY004-MC4F49) Unfortunately, messages from 192.0.2.1 weren't sent.", "other-family"},
		{outlook, "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent, part of their network is on our block list (S3150).", "other-family"},
		{m365, "451 4.7.500 Server busy. Please try again later from [192.0.2.1]. (AS77712344)", "slow 15m0s"},
		{m365, "550 5.7.511 Access denied, banned sender[192.0.2.1]. To request removal from this list", "other-family"},
		{m365, "550 5.7.606 Access denied, banned sending IP [192.0.2.1].", "other-family"},
		{m365, "550 5.7.510 Access denied, [contoso.com] does not accept email over IPv6", "other-family"},
		{m365, "550 5.7.705 Access denied, tenant has exceeded threshold.", "slow 1h0m0s"},
		{m365, "550 5.4.1 [x@y.example]: Recipient address rejected: Access denied", "none"},
		{m365, "550 5.1.10 RESOLVER.ADR.RecipientNotFound; not found", "none"},
		{yahoo, "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints", "slow 30m0s"},
		{yahoo, "421 4.7.1 [TS03] All messages from 192.0.2.1 will be permanently deferred", "slow 30m0s"},
		{yahoo, "553 5.7.1 [BL21] Connections will not be accepted from 192.0.2.1, because the ip is in Spamhaus's list", "other-family"},
		{yahoo, "554 5.7.9 Message not accepted for policy reasons.", "none"},
		{icloud, "550 5.7.1 [CS01] Message rejected due to local policy.", "none"},
		{icloud, "554 5.7.1 [HM08] Message rejected due to local policy.", "other-family"},
		{icloud, "421 4.7.1 Messages to a@icloud.com deferred due to excessive volume. Try again later", "retry 15m0s"},
		{gmx, "421-gmx.net (mxgmx104) Nemesis ESMTP Service not available 421-Rate limit reached. 421 Please try again later", "slow 30m0s"},
		{gmx, "554-gmx.net (mxgmx104) Nemesis ESMTP Service not available 554-No SMTP service 554-IP address is block listed.", "other-family"},
		{gmx, "554-gmx.net (mxgmx1) Nemesis ESMTP Service not available 554-Bad DNS PTR resource record.", "other-family"},
		{gmx, "550 Requested action not taken: mailbox unavailable", "none"},
		{any, "450 4.2.0 <b@example.org>: Recipient address rejected: Greylisted, see http://postgrey.example", "retry 5m0s"},
		{any, "451 4.7.1 Greylisting in action, please come back later", "retry 5m0s"},
		{any, "421 4.7.0 mx.example.org Error: too many connections from 192.0.2.1", "slow 5m0s"},
		{any, "452 4.5.3 Error: too many recipients", "none"},
		{any, "552 Too many recipients", "retry"},
		{any, "552 5.2.2 Mailbox full", "none"},
		{any, "550 5.7.1 Client host rejected: cannot find your reverse hostname, [2001:db8::1]", "other-family"},
		{any, "550 5.7.23 SPF validation failed", "other-family"},
		{any, "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org", "other-family"},
		{any, "571 Message Refused", "none"},
		{any, "550 5.7.1 This message looks like spam", "none"},
		{any, "421 RP-001 not Microsoft", "none"},
		{"notgoogle.com", "421 4.7.28 not Google", "none"},
	} {
		if got := f.decide(c.reply, c.host, "example.org"); got != c.want {
			t.Errorf("%s: %s: %s, want %s", c.host, c.reply, got, c.want)
		}
	}
}

func TestReplyRules(t *testing.T) {
	f := newFixture(t, map[string]string{"reply-rules": "" +
		"# ours\n" +
		"550 5.7.1 host=.google.com \"some: words\": hold\n" +
		"550 551 host=mx.example.org: retry 2h\n" +
		"5xx 5.1.x to=.partner.example: other-route\n" +
		"/^no (thanks|way)$/ 4xx: bounce\n" +
		"\"a  b\": slow\n" +
		"/a/b\"/: slow 1m30s\n" +
		"5.7.25: standard\n"})
	for _, c := range []struct{ reply, host, domain, want string }{
		{"550 5.7.1 here are SOME: words", "mx.google.com", "x.example", "hold"},
		{"550-5.7.1 here are some: 550 5.7.1 words", "mx.google.com", "x.example", "hold"},
		{"550-here are some: 550 words", "mx.google.com", "x.example", "none"}, // no 5.7.1
		{"551 moved", "MX.example.org.", "x.example", "retry 2h0m0s"},
		{"551 moved", "a.mx.example.org", "x.example", "none"},
		{"553 5.1.7 no", "mx", "partner.example", "other-route"},
		{"553 5.1.7 no", "mx", "a.Partner.example", "other-route"},
		{"553 5.2.7 no", "mx", "partner.example", "none"},
		{"450 No way", "mx", "x.example", "bounce"},
		{"450-No 450 way", "mx", "x.example", "bounce"},
		{"450 No way out", "mx", "x.example", "none"},
		{"550 A B", "mx", "x.example", "slow 10m0s"},
		{"550 see a/b\"", "mx", "x.example", "slow 1m30s"},
		{"550 5.7.25 PTR", "mx", "x.example", "standard"},
		{"550 5.7.23 SPF", "mx", "x.example", "other-family"},
	} {
		if got := f.decide(c.reply, c.host, c.domain); got != c.want {
			t.Errorf("%s from %s: %s, want %s", c.reply, c.host, got, c.want)
		}
	}
	f.write("reply-rules", "*: standard\n")
	if got := f.decide("550 5.7.25 PTR", "mx", "x.example"); got != "standard" {
		t.Error(got)
	}
}

// TestBrokenReplyRules: what a broken row may be about is temporary; what another row
// decides before it is not.
func TestBrokenReplyRules(t *testing.T) {
	for _, c := range []struct{ row, want string }{
		{"550", "no action"},
		{": retry", "no condition"},
		{"550: again", `"again" is no action`},
		{"550: hold 5m", "hold has no time"},
		{"550: slow 2d", "is not between a second and a day"},
		{"550: slow soon", "is not a time span"},
		{"650: hold", `"650" is no condition`},
		{"5.x: hold", `"5.x" is no condition`},
		{"* 550: hold", "* stands beside other conditions"},
		{"/(/: hold", "is no regular expression"},
		{"/" + strings.Repeat("a", maxPattern+1) + "/: hold", "longer than"},
		{`"open: hold`, "does not end with"},
		{"host=-: hold", "domain"},
		{"to=: hold", "domain"},
	} {
		if _, err := parseReplyRule("control/reply-rules:1", c.row); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.row, err, c.want)
		}
	}
	f := newFixture(t, map[string]string{"reply-rules": "551: hold\n551 550: again\n/(/: hold\n"})
	if got := f.decide("551 x", "mx", "x.example"); got != "hold" {
		t.Error(got)
	}
	if got := f.decide("550 x", "mx", "x.example"); !strings.Contains(got, "control/reply-rules:2: ") {
		t.Error(got)
	}
	if got := f.decide("554 x", "mx", "x.example"); !strings.Contains(got, "control/reply-rules:3: ") {
		t.Error(got)
	}
	f.clock = f.clock.Add(hiding + time.Minute)
	if got := f.decide("554 x", "mx", "x.example"); got != "none" {
		t.Error(got)
	}
}

func FuzzReplyRule(f *testing.F) {
	for _, text := range builtInReplyRules() {
		f.Add(text, "550-5.7.1 a 550 5.7.1 b")
	}
	f.Add(`"a" /b/ * : :`, "421")
	f.Fuzz(func(t *testing.T, text, reply string) {
		rule, err := parseReplyRule("control/reply-rules:1", text)
		if err != nil {
			return
		}
		// The key of a row is a condition that means the same.
		again, err := parseReplyCondition(strings.Join(replyWords(rule.condition()), " "))
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if r, err := ParseReply(reply, "mx.example.org", "example.org"); err == nil {
			if words := r.words(); again.matches(r, words) != rule.when.matches(r, words) {
				t.Fatalf("%q differs from its key about %q", text, reply)
			}
		}
	})
}
