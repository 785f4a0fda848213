package check

import (
	"context"
	"crypto/ed25519"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"paperpath/internal/authres"
	"paperpath/internal/control"
	"paperpath/internal/dkim"
	"paperpath/internal/dns"
	"paperpath/internal/dns/dnstest"
	"paperpath/internal/explain"
	"paperpath/internal/spool"
)

// at is the setting of a name server.
type at string

func (a at) Resolver() (string, bool, error) { return string(a), false, nil }

// signer signs as "k" of any domain.
var signer = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

// strangers has a home and a name server.
type strangers struct {
	t   *testing.T
	dns *dns.Resolver
}

func newStrangers(t *testing.T) strangers {
	return strangers{t, dns.New(at(dnstest.New(t, identityZone(t)).Addr))}
}

// checker makes a checker with rows of control/checks and control/trusted-forwarders.
func (s strangers) checker(rows, trust string, list func() []row) *Checker {
	files := []string{}
	if rows != "" {
		files = []string{"checks", rows}
	}
	if trust != "" {
		files = append(files, "trusted-forwarders", trust)
	}
	k := checkerOf(settings(s.t, files...), list)
	k.DNS = s.dns
	return k
}

// subject is the message of a row.
func (x identityRow) subject(t testing.TB) Subject {
	s := Subject{SMTPPeer: true, With: "ESMTP", Envelope: to("alice@example.net"), Helo: x.helo}
	s.Envelope.From.Addr = x.from
	if s.Helo == "" {
		s.Helo = "mx.plain.example"
	}
	client := x.client
	if client == "" {
		client = "192.0.2.1"
	}
	s.Client = netip.MustParseAddr(client)
	text := x.author
	if !strings.Contains(text, "\n") {
		text = "From: " + text + "\n"
	}
	text += "Subject: x\nDate: Sat, 28 Nov 2026 12:00:00 +0000\nMessage-ID: <1@x.example>\n\nhello\n"
	if x.signed != "" {
		domain, broken := strings.CutSuffix(x.signed, "!")
		signed, err := dkim.Sign(strings.NewReader(text), []dkim.Key{{Domain: domain, Selector: "k", Signer: signer}}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		text = signed.Fields + text
		if broken {
			text += "more\n"
		}
	}
	s.Body = spool.BytesBody([]byte(text))
	return s
}

// hasResults reports what of a list is missing in the results: each item is a method with a
// result, and the begin of properties.
func hasResults(v Verdict, want string) (missing []string) {
	var methods []authres.Method
	for _, f := range v.Found {
		methods = append(methods, f.Methods...)
	}
	for item := range strings.SplitSeq(want, " ; ") {
		words := strings.Fields(item)
		if len(words) > 0 && !slices.ContainsFunc(methods, func(m authres.Method) bool {
			ok := m.Name+"="+m.Result == words[0]
			for _, p := range words[1:] {
				name, value, _ := strings.Cut(p, "=")
				ok = ok && strings.HasPrefix(m.Get(name), value) && m.Get(name) != ""
			}
			return ok
		}) {
			missing = append(missing, item)
		}
	}
	return missing
}

func outcome(v Verdict) string {
	if v.Passes() && v.Action != control.CheckAccept {
		return string(v.Action)
	}
	return summaryOf(v)
}

// TestIdentity has what becomes of messages of strangers, by who they say they are.
func TestIdentity(t *testing.T) {
	s := newStrangers(t)
	for _, x := range identityRows() {
		v := s.checker(x.rows, x.trust, nil).Message(context.Background(), x.subject(t), nil)
		if got := outcome(v); got != x.want {
			t.Errorf("%s: %s (%s), want %s", x.name, got, v, x.want)
		}
		for _, item := range hasResults(v, x.has) {
			t.Errorf("%s: no %s in %v", x.name, item, v.Results)
		}
	}
}

// TestEveryStrangersCheckIsHeld: without any one of the checks about strangers some row of
// TestIdentity would have another result.
func TestEveryStrangersCheckIsHeld(t *testing.T) {
	s := newStrangers(t)
	for i, without := range rows() {
		name := without.make().Name()
		if !slices.Contains([]string{"iprev", "helo", "null-mx", "spf", "dkim", "dmarc"}, name) {
			continue
		}
		list := slices.Delete(rows(), i, i+1)
		if !slices.ContainsFunc(identityRows(), func(x identityRow) bool {
			v := s.checker(x.rows, x.trust, func() []row { return list }).Message(context.Background(), x.subject(t), nil)
			return outcome(v) != x.want
		}) {
			t.Errorf("no row of TestIdentity needs the check %s", name)
		}
	}
}

// At MAIL only a domain that sends no mail at all is refused, and the question is asked once
// for a transaction.
func TestSPFAtMail(t *testing.T) {
	s := newStrangers(t)
	for from, want := range map[string]bool{"a@bare.example": true, "a@plain.example": false, "a@reject.example": false, "": false,
		"a@away.example": false} {
		sub := identityRow{client: "192.0.2.9", from: from, author: "a@other.example"}.subject(t)
		body := sub.Body
		sub.Body = nil
		session := s.checker("", "", nil).Session()
		err := session.Mail(context.Background(), sub)
		if (err != nil) != want {
			t.Errorf("%s: %v", from, err)
		}
		if want && !strings.Contains(err.Error(), `bare.example sends no mail (TXT bare.example says "v=spf1 -all"`) {
			t.Errorf("%s: %v", from, err)
		}
		sub.Body = body
		if v := session.Message(context.Background(), sub, nil); len(hasResults(v, "dmarc=none")) > 0 {
			t.Errorf("%s: %v", from, v.Results)
		}
		session.Close()
	}
	for _, rows := range []string{"spf: accept\n", "spf: off\n", "spf: tag\n"} {
		sub := identityRow{client: "192.0.2.9", from: "a@bare.example", author: "a@other.example"}.subject(t)
		if err := s.checker(rows, "", nil).Session().Mail(context.Background(), sub); err != nil {
			t.Errorf("%s: %v", rows, err)
		}
	}
}

// counting counts the questions for a name.
type counting struct {
	*dns.Resolver
	asked map[string]int
	mu    *sync.Mutex
}

func (c counting) TXT(ctx context.Context, name string) ([]string, error) {
	list, err := c.Resolver.TXT(ctx, name)
	if dns.HasMissed(ctx) { // the check is asked once more
		return list, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked[name]++
	return list, err
}

// What SPF found at MAIL holds for the message, and for no other transaction.
func TestSPFIsAskedOnce(t *testing.T) {
	s := newStrangers(t)
	k := s.checker("", "", nil)
	c := counting{s.dns, map[string]int{}, &sync.Mutex{}}
	k.DNS = c
	session := k.Session()
	defer session.Close()
	for _, x := range []struct{ from, want string }{
		{"a@plain.example", "spf=fail"}, {"a@quarantine.example", "spf=softfail"}, {"b@plain.example", "spf=fail"},
	} {
		sub := identityRow{client: "192.0.2.9", from: x.from, author: "a@other.example"}.subject(t)
		body := sub.Body
		sub.Body = nil
		if err := session.Mail(context.Background(), sub); err != nil {
			t.Fatal(err)
		}
		sub.Body = body
		v := session.Message(context.Background(), sub, nil)
		if len(hasResults(v, x.want+" smtp.mailfrom="+x.from)) > 0 {
			t.Errorf("%s: %v", x.from, v.Results)
		}
		session.Reset()
	}
	if c.asked["plain.example"] != 2 || c.asked["quarantine.example"] != 1 {
		t.Errorf("asked %v", c.asked)
	}
	// A message with another reverse path than MAIL had: what was found then does not count.
	if err := session.Mail(context.Background(), identityRow{client: "192.0.2.9", from: "a@plain.example"}.subject(t)); err != nil {
		t.Fatal(err)
	}
	v := session.Message(context.Background(), identityRow{client: "192.0.2.9", from: "a@quarantine.example", author: "a@other.example"}.subject(t), nil)
	if len(hasResults(v, "spf=softfail")) > 0 {
		t.Errorf("%v", v.Results)
	}
}

// Nobody waits for the DNS because of our own: a login, a trusted host, this machine.
func TestOurOwnAreNotAsked(t *testing.T) {
	server := dnstest.New(t, identityZone(t))
	s := strangers{t, dns.New(at(server.Addr))}
	for name, change := range map[string]func(*Subject){
		"trusted":  func(s *Subject) { s.Trusted = true },
		"loopback": func(s *Subject) { s.Client = netip.MustParseAddr("127.0.0.1") },
		"pipe":     func(s *Subject) { s.Client = netip.Addr{} },
	} {
		sub := identityRow{client: "192.0.2.9", from: "a@plain.example", author: "a@reject.example"}.subject(t)
		change(&sub)
		if v := s.checker("", "", nil).Message(context.Background(), sub, nil); v.Action != control.CheckAccept || len(server.Asked()) > 0 {
			t.Errorf("%s: %s, asked %v", name, v, server.Asked())
		}
	}
}

// What is wrong with a HELO.
func TestHelo(t *testing.T) {
	s := newStrangers(t)
	for helo, want := range map[string]string{
		"mx.plain.example": "", "MX.Plain.Example": "", "mail.plain.example": "", "[192.0.2.1]": "",
		"[192.0.2.2]": "not the client's", "[IPv6:2001:db8::1]": "not the client's", "192.0.2.1": "without brackets",
		"mx.example.net": "that is this host", "MX.example.net": "that is this host", "localhost": "that is this host",
		"localhost.localdomain": "that is this host", "a.localhost": "that is this host",
		"nothing.example": "no host of that name", "plainhost": "one label", "a b": "not the name of a host",
		"a..b": "not the name of a host", "": "", "mx_1.example": "no host of that name",
	} {
		sub := identityRow{from: "a@other.example", author: "a@other.example"}.subject(t)
		sub.Helo = helo
		k := s.checker("helo: refuse\n", "", nil)
		v := k.Message(context.Background(), sub, nil)
		if want == "" && v.Action != control.CheckAccept || want != "" && !strings.Contains(v.Reason(), want) {
			t.Errorf("%q: %s, want %q", helo, v, want)
		}
		for _, f := range v.Found { // a name that nobody knows has no result
			if f.Name == "spf" && want == "" && (len(f.Methods) == 2) != (helo != "") {
				t.Errorf("%q: %v", helo, f.Methods)
			}
		}
	}
}

// A refusal names the domain, its policy and where to read it.
func TestRefusalTexts(t *testing.T) {
	s := newStrangers(t)
	for _, x := range []struct{ rows, from, author, want string }{
		{"", "a@other.example", "a@sub.reject.example",
			"DMARC: neither SPF nor DKIM passed for sub.reject.example; p=reject of reject.example (TXT _dmarc.reject.example; RFC 9989)"},
		{"dmarc: off\n", "a@plain.example", "a@plain.example", "SPF: plain.example does not allow 192.0.2.9 to send its mail (TXT plain.example; RFC 7208)"},
		{"", "a@plain.example", "a@plain.example", "SPF: plain.example does not allow 192.0.2.9 to send its mail (TXT plain.example; RFC 7208), " +
			"and DMARC does not prove the author"},
	} {
		v := s.checker(x.rows, "", nil).Message(context.Background(), identityRow{client: "192.0.2.9", from: x.from, author: x.author}.subject(t), nil)
		if v.Reason() != x.want {
			t.Errorf("%s, want %s", v.Reason(), x.want)
		}
	}
}

// An explanation has the queries, the results and what follows.
func TestIdentityIsExplained(t *testing.T) {
	s := newStrangers(t)
	var trail explain.Trail
	s.checker("", "", nil).Message(context.Background(), identityRow{client: "192.0.2.9", from: "a@plain.example", author: "a@reject.example",
		signed: "other.example"}.subject(t), &trail)
	var b strings.Builder
	if err := trail.Write(&b, false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"name of the client: none", "HELO: mx.plain.example", "spf mailfrom: fail for a@plain.example: matched all (TXT plain.example)",
		"signature: 1 d=other.example s=k", "dmarc: fail for reject.example, policy reject (p= of the author's domain reject.example)",
		"TXT _dmarc.reject.example", "check dmarc: fail: ", "=> refuse (default)"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}
