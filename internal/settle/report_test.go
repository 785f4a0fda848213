package settle

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"net/textproto"
	"strings"
	"testing"

	"paperpath/internal/message"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// readPart is a MIME part as the standard library reads it.
type readPart struct {
	header textproto.MIMEHeader
	text   string
}

func parts(t *testing.T, report string) (mail.Header, []readPart) {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(report))
	if err != nil {
		t.Fatalf("%v:\n%s", err, report)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/report" || params["report-type"] != "delivery-status" {
		t.Fatalf("content type %s %v, %v", kind, params, err)
	}
	var list []readPart
	r := multipart.NewReader(m.Body, params["boundary"])
	for {
		p, err := r.NextRawPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("part %d: %v:\n%s", len(list), err, report)
		}
		b, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, readPart{p.Header, string(b)})
	}
	if len(list) != 3 {
		t.Fatalf("%d parts:\n%s", len(list), report)
	}
	return m.Header, list
}

// bounceOf returns the report about the one recipient of an entry.
func bounceOf(t *testing.T, from, body, to string, r Result) (*fixture, string) {
	t.Helper()
	f := newFixture(t)
	f.entry(spool.WithLocal, from, body, to)
	f.settle(r)
	report := f.report()
	if report == "" {
		t.Fatalf("no report; log:\n%s", f.log.String())
	}
	return f, report
}

func TestReport(t *testing.T) {
	_, report := bounceOf(t, "alice@example.org ENVID=q+2B7", mailText, "b@x.example ORCPT=rfc822;bob+2Bx@y.example",
		Result{Index: 0, Err: errUnknown, RemoteMTA: "mx.x.example", Diagnostic: "550 5.1.1 never heard of him"})
	header, list := parts(t, report)
	for name, want := range map[string]string{"From": "Mail Delivery System <MAILER-DAEMON@mx.example.net>",
		"To": "<alice@example.org>", "Auto-Submitted": "auto-replied", "In-Reply-To": "<1@example.org>",
		"Content-Transfer-Encoding": ""} {
		if got := header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if _, err := header.Date(); err != nil || !strings.HasSuffix(header.Get("Message-ID"), "@mx.example.net>") {
		t.Errorf("date %v, id %s", err, header.Get("Message-ID"))
	}
	for _, want := range []string{"mail system at mx.example.net", "<b@x.example>\n    There is no mailbox with this address.",
		"The host mx.x.example said: 550 5.1.1 never heard of him\n", "no further attempt"} {
		if !strings.Contains(list[0].text, want) {
			t.Errorf("no %q in\n%s", want, list[0].text)
		}
	}
	groups := strings.Split(list[1].text, "\n\n")
	if list[1].header.Get("Content-Type") != "message/delivery-status" || len(groups) != 2 {
		t.Fatalf("delivery status\n%s", list[1].text)
	}
	for i, want := range [][]string{
		{"Original-Envelope-Id: q+7\n", "Reporting-MTA: dns; mx.example.net\n", "Arrival-Date: "},
		{"Original-Recipient: rfc822; bob+x@y.example\n", "Final-Recipient: rfc822; b@x.example\n", "Action: failed\n",
			"Status: 5.1.1\n", "Remote-MTA: dns; mx.x.example\n", "Diagnostic-Code: smtp; 550 5.1.1 never heard of him\n",
			"Last-Attempt-Date: "},
	} {
		for _, line := range want {
			if !strings.Contains(groups[i]+"\n", line) {
				t.Errorf("no %q in\n%s", line, groups[i])
			}
		}
	}
	back := list[2]
	if back.header.Get("Content-Type") != "message/rfc822" || !strings.HasPrefix(back.text, "Received: by mx.example.net") ||
		!strings.HasSuffix(back.text, mailText) {
		t.Errorf("returned %q\n%s", back.header, back.text)
	}
}

const mailText = "From: alice@example.org\nSubject: hi\nMessage-ID: <1@example.org>\n\nhello\n"

func TestReturned(t *testing.T) {
	long := "Subject: long\n\n" + strings.Repeat("0123456789abcdef\n", 5000)
	endless := strings.Repeat("X: 0123456789abcdef\n", 8000)
	for _, c := range []struct{ name, from, body, kind, text string }{
		{"headers wanted", "alice@example.org RET=HDRS", mailText, "text/rfc822-headers", "Message-ID: <1@example.org>\n"},
		{"all wanted", "alice@example.org RET=FULL", mailText, "message/rfc822", "\n\nhello\n"},
		{"large", "alice@example.org RET=FULL", long, "text/rfc822-headers", "Subject: long\n"},
		{"large header", "alice@example.org", endless, "text/rfc822-headers", "X: 0123456789abcdef\n"},
		{"no header", "alice@example.org", "hello\n", "message/rfc822", "\n\nhello\n"},
		{"8-bit", "alice@example.org", "Subject: x\n\nGr\xfc\xdfe\n", "message/rfc822", "\n\nGr\xfc\xdfe\n"},
		{"no last line end in the header", "alice@example.org", "Subject: x", "message/rfc822", "Subject: x\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, report := bounceOf(t, c.from, c.body, "b@x.example", Result{Index: 0, Err: errUnknown})
			header, list := parts(t, report)
			back := list[2]
			if back.header.Get("Content-Type") != c.kind || !strings.HasSuffix(back.text, c.text) {
				t.Errorf("returned %v ... %q", back.header, back.text[max(0, len(back.text)-100):])
			}
			if len(report) > 128<<10 {
				t.Errorf("%d octets", len(report))
			}
			want, part := "", "7bit"
			if beyondASCII(c.body) {
				want, part = "8bit", "8bit"
			}
			if got := header.Get("Content-Transfer-Encoding"); got != want || back.header.Get("Content-Transfer-Encoding") != part {
				t.Errorf("declared as %q, the part as %q", got, back.header.Get("Content-Transfer-Encoding"))
			}
		})
	}
}

// TestHostileReply: whatever a remote host says, the report keeps its form.
func TestHostileReply(t *testing.T) {
	for _, reply := range []string{
		"550 no\nAction: delivered\nStatus: 2.0.0", "550 no\r\n\r\n--x\r\nFinal-Recipient: rfc822; z@z.example",
		"550 \x1b]0;title\x07 \x00 \xff\xfe \u0085 Gr\u00fc\u00dfe", strings.Repeat("x", 100000), strings.Repeat("y ", 50000),
	} {
		_, report := bounceOf(t, "alice@example.org", mailText, "b@x.example",
			Result{Index: 0, Err: errUnknown, RemoteMTA: "mx\n.x.example" + reply, Diagnostic: reply})
		_, list := parts(t, report)
		if n := strings.Count(list[1].text, "\nAction:"); n != 1 || strings.Contains(list[1].text, "\nFinal-Recipient: rfc822; z@z") {
			t.Errorf("%d actions in\n%s", n, list[1].text)
		}
		if beyondASCII(report) || strings.ContainsAny(report, "\x00\x1b\x07\r") || len(report) > 20000 {
			t.Errorf("%d octets:\n%q", len(report), report)
		}
		for _, line := range strings.Split(report, "\n") {
			if len(line) > 500 {
				t.Errorf("line of %d octets", len(line))
			}
		}
	}
}

func TestCausesStayHere(t *testing.T) {
	secret := &status.Error{Exit: status.Unavailable, Enhanced: "5.4.0", Text: "not accepted", Err: fmt.Errorf("open /home/control/secret")}
	_, report := bounceOf(t, "alice@example.org", mailText, "b@x.example", Result{Index: 0, Err: secret})
	if strings.Contains(report, "secret") || !strings.Contains(report, "x-paperpath; not accepted") {
		t.Error(report)
	}
}

func TestInternational(t *testing.T) {
	_, report := bounceOf(t, "j\u00fcrgen@example.org", "Subject: \u00fc\n\nx\n", "b\u00f6b@x.example", Result{Index: 0, Err: errUnknown})
	_, list := parts(t, report)
	if !strings.Contains(list[1].text, "Final-Recipient: utf-8; b\u00f6b@x.example\n") ||
		list[1].header.Get("Content-Type") != "message/global-delivery-status" || list[2].header.Get("Content-Type") != "message/global" ||
		list[1].header.Get("Content-Transfer-Encoding") != "8bit" {
		t.Errorf("%v\n%s", list[1].header, report)
	}
}

// TestSameAgain: an attempt after a crash writes the same report again.
func TestSameAgain(t *testing.T) {
	f := newFixture(t)
	f.entry(spool.WithLocal, "alice@example.org", mailText, "a@x.example", "b@x.example")
	f.work(spool.InboxRelay, func(_ context.Context, e *spool.Entry) spool.Outcome {
		one := f.s.Settle(e, []Result{{Index: 0, Err: errLater}, {Index: 1, Err: errUnknown}})
		two := f.s.Settle(e, []Result{{Index: 0, Err: errLater}, {Index: 1, Err: errUnknown}})
		if string(one.Bounce.Body) != string(two.Bounce.Body) {
			t.Errorf("%s\nbecame\n%s", one.Bounce.Body, two.Bounce.Body)
		}
		other := f.s.Settle(e, []Result{{Index: 0, Err: errUnknown}, {Index: 1, Err: errLater}})
		if messageID(one.Bounce.Body) == messageID(other.Bounce.Body) {
			t.Error("two reports have one Message-ID")
		}
		return two
	})
}

func messageID(report []byte) string {
	h, err := message.Read(bytes.NewReader(report), 1<<20, 100)
	if err != nil {
		return err.Error()
	}
	return h.Value("Message-ID")
}

func beyondASCII(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r > 0x7f })
}
