package settle

import (
	"context"
	"strings"
	"testing"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/authres"
	"paperpath/internal/spool"
	"paperpath/internal/srs"
)

// TestProvedSender: SPF or DKIM makes a sender one who gets reports only where it passed
// for the domain of the reverse path, in our own field.
func TestProvedSender(t *testing.T) {
	result := func(name, result string, p ...authres.Property) authres.Method {
		return authres.Method{Name: name, Result: result, Properties: p}
	}
	mailfrom := authres.Mailbox("smtp.mailfrom", "bob@Mail.example.org")
	signer := authres.Domain("header.d", "example.org")
	const path = "bob@mail.EXAMPLE.org"
	for _, c := range []struct {
		name, from string
		methods    []authres.Method
		want       bool
	}{
		{"nothing", path, nil, false},
		{"SPF", path, []authres.Method{result("spf", "pass", mailfrom)}, true},
		{"SPF without the local part", path, []authres.Method{result("spf", "pass", authres.Mailbox("smtp.mailfrom", `"b o"@mail.example.org`))}, true},
		{"SPF fails", path, []authres.Method{result("spf", "softfail", mailfrom)}, false},
		{"SPF of HELO", path, []authres.Method{result("spf", "pass", authres.Domain("smtp.helo", "mail.example.org"))}, false},
		{"SPF of another", "bob@example.org", []authres.Method{result("spf", "pass", mailfrom)}, false},
		{"DKIM of a parent", path, []authres.Method{result("dkim", "fail"), result("dkim", "pass", signer)}, true},
		{"DKIM fails", path, []authres.Method{result("dkim", "fail", signer)}, false},
		{"DKIM of another", "bob@badexample.org", []authres.Method{result("dkim", "pass", signer)}, false},
		{"DKIM of a child", "bob@org", []authres.Method{result("dkim", "pass", signer)}, false},
		{"DMARC alone", path, []authres.Method{result("dmarc", "pass", authres.Domain("header.from", "mail.example.org"))}, false},
		{"junk", path, []authres.Method{result("spf", "pass", mailfrom), {Name: authres.Paperpath, Result: authres.Junk, Reason: "x"}}, false},
		{"null path", "", []authres.Method{result("spf", "pass", mailfrom)}, false},
	} {
		f := newFixture(t)
		env := spool.Envelope{From: spool.Path{Addr: c.from}, To: []spool.Recipient{{Addr: "a@x.example"}}}
		// The same field below our Received says nothing.
		forged := authres.Format("mx.example.net", []authres.Method{result("spf", "pass", mailfrom)})
		_, err := f.sp.Accept(spool.InboxRelay, env, []string{authres.Format("mx.example.net", c.methods)},
			spool.Trace{By: "mx.example.net", With: "ESMTPS"}, spool.BytesBody([]byte(forged+"From: a@b\n\n")))
		if err != nil {
			t.Fatal(err)
		}
		f.work(spool.InboxRelay, func(_ context.Context, e *spool.Entry) spool.Outcome {
			if !f.s.Stranger(e) {
				t.Errorf("%s: no stranger", c.name)
			}
			return f.s.Settle(e, []Result{{Index: 0, Err: errUnknown}})
		})
		if got := strings.Contains(f.report(), "a@x.example"); got != c.want {
			t.Errorf("%s: report %v, want %v", c.name, got, c.want)
		}
		if held := f.list(spool.InboxHold) != ""; held == c.want {
			t.Errorf("%s: held %v", c.name, held)
		}
	}
}

// Failures of what a list sends on go to its owner, and of what was forwarded, back to the
// sender if SPF passed for them. A stranger cannot have either sent elsewhere.
func TestReportsOfForwardedMail(t *testing.T) {
	scheme := srs.Scheme{Secrets: []string{"a-secret-of-the-test"}, Now: time.Now()}
	there, err := scheme.Forward(addr.Address{Local: "bob", Domain: "example.org"}, "example.net")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		from string
		want bool
	}{
		{"owner-list@example.net", true}, {"owner-none@example.net", false}, {"owner-list@far.example", false},
		{there.String(), true}, {"SRS0=abcd=AA=example.org=bob@example.net", false},
	} {
		f := newFixture(t)
		f.control("domains", "example.net\n")
		f.control("aliases", "list: a@x.example\nowner-list: a@x.example\n")
		f.control("srs-secrets", scheme.Secrets[0]+"\n")
		mailfrom := authres.Domain("smtp.mailfrom", "example.org")
		env := spool.Envelope{From: spool.Path{Addr: c.from}, To: []spool.Recipient{{Addr: "a@x.example"}}}
		_, err := f.sp.Accept(spool.InboxRelay, env, []string{authres.Format("mx.example.net", []authres.Method{
			{Name: "spf", Result: "pass", Properties: []authres.Property{mailfrom}}})},
			spool.Trace{By: "mx.example.net", With: "ESMTPS"}, spool.BytesBody([]byte("From: a@b\n\n")))
		if err != nil {
			t.Fatal(err)
		}
		f.work(spool.InboxRelay, func(_ context.Context, e *spool.Entry) spool.Outcome {
			return f.s.Settle(e, []Result{{Index: 0, Err: errUnknown}})
		})
		if got := strings.Contains(f.report(), "a@x.example"); got != c.want {
			t.Errorf("%s: report %v, want %v", c.from, got, c.want)
		}
	}
}
