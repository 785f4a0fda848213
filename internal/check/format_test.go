package check

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/route"
	"paperpath/internal/spool"
)

// found returns what one check says of a message with these fields.
func found(t *testing.T, c *control.Control, name, text string) Found {
	t.Helper()
	k := checkerOf(c, nil)
	k.Now = func() time.Time { return time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC) }
	s := peer
	s.Body = spool.BytesBody([]byte(text))
	v := k.Message(t.Context(), s, nil)
	for _, f := range v.Found {
		if f.Name == name {
			return f
		}
	}
	t.Fatalf("%s was not asked: %+v", name, v)
	return Found{}
}

// What is odd and does no harm is recorded, and accepted.
func TestFormat(t *testing.T) {
	const from = "From: bob@x.example\n"
	for _, c := range []struct {
		check, text, result, reason string
	}{
		{"date", from, "none", ""},
		{"date", "Date: Sat, 28 Nov 2026 05:10:00 +0000\n" + from, "pass", ""},
		{"date", "Date: 28 Nov 26 05:10 EST (here)\n" + from, "pass", ""},
		{"date", "Date: Sun, 29 Nov 2026 11:59:00 +0000\n" + from, "pass", ""},
		{"date", "Date: Sun, 29 Nov 2026 12:00:00 +0000\n" + from, "pass", ""},
		{"date", "Date: Thu, 27 Nov 2025 12:00:00 +0000\n" + from, "pass", ""},
		{"date", "Date: Thu, 27 Nov 2025 11:59:59 +0000\n" + from, "fail", "more than a year ago"},
		{"date", "Date: Sun, 29 Nov 2026 12:01:00 +0000\n" + from, "fail", "more than a day ahead"},
		{"date", "Date: Fri, 28 Nov 2025 12:00:00 +0000\n" + from, "pass", ""},
		{"date", "Date: Thu, 1 Jan 1970 00:00:00 +0000\n" + from, "fail", "more than a year ago"},
		{"date", "Date: yesterday\n" + from, "fail", "the Date \"yesterday\" cannot be read"},
		{"date", "Date:\n" + from, "fail", "cannot be read"},
		{"date", "Date: \x1b[2J\xff\n" + from, "fail", "cannot be read"},
		{"message-id", from, "none", ""},
		{"message-id", "Message-ID: <a@b>\n" + from, "pass", ""},
		{"message-id", "Message-Id:\n <20261128.AAA\"x\".<\n@b>\n" + from, "fail", "is no Message-ID"},
		{"message-id", "Message-ID: <a@b@c> (comment)\n" + from, "pass", ""},
		{"message-id", "Message-ID: a@b\n" + from, "fail", "is no Message-ID"},
		{"message-id", "Message-ID: <a>\n" + from, "fail", "is no Message-ID"},
		{"message-id", "Message-ID: <@b>\n" + from, "fail", "is no Message-ID"},
		{"message-id", "Message-ID: <a b@c>\n" + from, "fail", "is no Message-ID"},
		{"message-id", "Message-ID: <a@b> <c@d>\n" + from, "fail", "is no Message-ID"},
		{"message-id", "Message-ID: <a@" + strings.Repeat("b", 990) + ">\n" + from, "fail", "is no Message-ID"},
		{"fields", from, "pass", ""},
		{"fields", "Received: x\nReceived: y\nX: y\nX: y\nResent-To: a\nResent-To: b\n" + from, "pass", ""},
		{"fields", "Date: a\nDATE: b\ndate : c\n" + from, "fail", "3 Date fields instead of one"},
		{"fields", "Subject: a\nTo: b\nSubject: c\nTo: d\n" + from, "fail", "2 To fields instead of one, 2 Subject fields instead of one"},
		{"fields", "Content-Type: a/b\nContent-Type: c/d\n" + from, "fail", "2 Content-Type fields"},
		{"fields", from + "junk\n", "fail", "1 lines are no header fields"},
		{"lines", from + "\n" + strings.Repeat("x", 998) + "\n", "pass", ""},
		{"lines", from + "\n" + strings.Repeat("x", 999) + "\n", "fail", "1 lines are longer than 998 octets, the longest has 999"},
		{"lines", from + "\n" + strings.Repeat("x", 998), "pass", ""},
		{"lines", from + "\n" + strings.Repeat("x", 999), "fail", "the longest has 999"},
		{"lines", from + "\r\n" + strings.Repeat("x", 998) + "\r\n", "pass", ""},
		{"lines", from + "\r\n" + strings.Repeat("x", 999) + "\r\n", "fail", "the longest has 999"},
		{"lines", "Subject: " + strings.Repeat("x", 990) + "\n" + from, "fail", "the longest has 999"},
		{"lines", from + "\n" + strings.Repeat("x", 1<<20) + "\ny\n" + strings.Repeat("x", 3<<20), "fail",
			"2 lines are longer than 998 octets, the longest has 3145728"},
		{"lines", from + "\n" + strings.Repeat("\n", 1<<20), "pass", ""},
		{"nul", from + "\nx\n", "pass", ""},
		{"nul", from + "\nx\x00\n" + strings.Repeat("x", 1<<20) + "\x00", "fail", "contains 2 NULs"},
		{"structure", from + "Content-Type: text/plain; charset=x-unknown\n\nx\n", "pass", ""},
		{"structure", from + "Content-Type: ;;;\n\nx\n", "odd", "mime: no media type"},
		{"structure", from + "Content-Type: multipart/mixed\n\nx\n", "odd", "multipart: boundary is empty"},
		{"structure", from + "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n", "odd", "multipart: NextPart: EOF"},
		{"structure", from + "Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/mixed; boundary=i\n\n--i\n\nx\n--o\n\nfine\n--o--\n",
			"odd", "multipart: NextPart: EOF"},
		{"structure", from + "Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/mixed\n\nx\n--o\nContent-Type: ;;;\n\nfine\n--o--\n",
			"odd", "boundary is empty"},
	} {
		f := found(t, settings(t), c.check, c.text)
		if f.Result != c.result || !strings.Contains(f.Reason, c.reason) || c.reason == "" && f.Reason != "" ||
			f.Action != control.CheckAccept {
			t.Errorf("%s of %.60q: %s, %s: %q, want %s: %q", c.check, c.text, f.Action, f.Result, f.Reason, c.result, c.reason)
		}
	}
}

// What could do harm is refused: a structure that is too much for who reads it.
func TestStructureLimits(t *testing.T) {
	flat := "From: bob@x.example\nContent-Type: multipart/mixed; boundary=b\n\n"
	for text, want := range map[string]string{
		nest(100):                               "",
		nest(101):                               "MIME parts are nested more than 100 deep",
		flat + strings.Repeat("--b\n\n", 10000): "",
		flat + strings.Repeat("--b\n\n", 10001): "the message has more than 10000 MIME parts",
		flat + strings.Repeat("--b\nContent-Type: x/y; name=\""+strings.Repeat("x", 900)+"\"\n\n", 3000): "MIME: the headers of the parts are too long",
	} {
		f := found(t, settings(t), "structure", text)
		if f.Reason != want && want != "" || (f.Action == control.CheckRefuse) != (want != "") {
			t.Errorf("%.60q: %s %q, want %q", text, f.Action, f.Reason, want)
		}
	}
}

// control/mime judges each part under the worst of its readings.
func TestMIMEPolicy(t *testing.T) {
	policy := settings(t, "mime", strings.Join([]string{"# what Windows runs",
		".exe: refuse programs are not accepted, please send a link", ".tar.gz: tag", ".gz: hold", ".p7s: accept",
		"application/x-msdownload: junk", "audio/*: tag", "audio/ogg: accept", ""}, "\n"))
	file := func(name string) string { return "Content-Disposition: attachment; filename=\"" + name + "\"\n" }
	for text, want := range map[string]string{
		"":                                    "accept",
		file("a.txt"):                         "accept",
		file("a.exe"):                         "refuse a.exe (control/mime:2)",
		file("A.EXE"):                         "refuse A.EXE (control/mime:2)",
		file("a.exe. ."):                      "refuse a.exe. . (control/mime:2)",
		file("a.exe\u200b"):                   "refuse a.exe",
		file("a.exe::$DATA"):                  "refuse a.exe::$DATA (control/mime:2)",
		file("a.exe/"):                        "refuse a.exe/ (control/mime:2)",
		file("a.exe,"):                        "refuse a.exe, (control/mime:2)",
		file("a.exe?"):                        "refuse a.exe? (control/mime:2)",
		file("a.e|xe"):                        "refuse a.e|xe (control/mime:2)",
		file("a.e\x01xe"):                     "refuse a.e",
		file("a. exe"):                        "refuse a. exe (control/mime:2)",
		file("a\uff0eexe"):                    "refuse a",
		file("a.\uff25\uff38\uff25"):          "refuse a.",
		file("a.pdf.exe"):                     "refuse a.pdf.exe (control/mime:2)",
		file(".exe"):                          "refuse .exe (control/mime:2)",
		file("exe"):                           "accept",
		file("a.exe.txt"):                     "accept",
		file("a.tar.gz"):                      "tag a.tar.gz (control/mime:3)",
		file("a.gz"):                          "hold a.gz (control/mime:4)",
		file("smime.p7s"):                     "accept",
		file("a." + strings.Repeat("x", 900)): "accept",
		"Content-Type: Application/X-MSDownload\n":             "junk application/x-msdownload (control/mime:6)",
		"Content-Type: audio/mpeg\n":                           "tag audio/mpeg (control/mime:7)",
		"Content-Type: audio/ogg\n":                            "accept",
		"Content-Type: audio/mpeg; name=a.exe\n":               "refuse a.exe (control/mime:2)",
		"Content-Type: text/plain\nContent-Type: audio/mpeg\n": "tag audio/mpeg (control/mime:7)",
		"Content-Type: multipart/mixed; boundary=b\n\n--b\n" + file("a.gz") + "\nx\n--b\n" + file("a.exe") + "\nx\n--b--\n": "refuse a.exe (control/mime:2)",
		"Content-Type: message/rfc822\n\n" + file("a.exe"):                                                                  "refuse a.exe (control/mime:2)",
	} {
		text = "From: bob@x.example\n" + text
		f := found(t, policy, "mime", text+"\nx\n")
		if got := strings.TrimSpace(fmt.Sprint(f.Action, " ", f.Reason)); !strings.HasPrefix(got, want) || want == "accept" && got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	if f := found(t, policy, "mime", "From: bob@x.example\n"+file("a.exe")); f.Err == nil || f.Err.Error() != "programs are not accepted, please send a link" {
		t.Errorf("the reply is %v", f.Err)
	}
	if f := found(t, settings(t), "mime", "From: bob@x.example\n"+file("a.exe")); f.Result != "none" || f.Action != control.CheckAccept {
		t.Errorf("without a policy: %+v", f)
	}
}

// A row of the policy that cannot be read defers what it may be about; and where the
// structure check lets too many parts pass, a policy does not.
func TestMIMEPolicyInDoubt(t *testing.T) {
	const text = "From: bob@x.example\nContent-Type: text/plain; name=a.exe\n\nx\n"
	for _, c := range []struct{ policy, checks, text, want string }{
		{".exe: refse\n", "", text, "defer"},
		{".com: refse\n", "", text, "accept"},
		{"exe: refuse\n", "", text, "defer"},
		{".exe: refuse\nexe: refuse\n", "", text, "refuse"},
		{".com: refuse\n", "structure: accept\n", nest(101), "refuse"},
		{".com: refuse\n", "mime: tag\n", "From: a@b\nContent-Type: text/plain; name=x.com\n\n", "tag"},
	} {
		files := []string{"mime", c.policy}
		if c.checks != "" {
			files = append(files, "checks", c.checks)
		}
		if f := found(t, settings(t, files...), "mime", c.text); string(f.Action) != c.want {
			t.Errorf("%q: %s %s, want %s", c.policy, f.Action, f.Reason, c.want)
		}
	}
}

// control/sizes has the limits of who submits, or of those for whom mail comes.
func TestSizes(t *testing.T) {
	c := settings(t, "databytes", "5000\n", "users", "alice@example.net:*\n", "aliases", "sales@example.net: alice@example.net\n",
		"sizes", "alice@example.net: 2000\n@example.com: 3000\n.: 1000\nbig@example.net: 9000\n")
	outside := func(list ...string) Subject {
		s := from("bob@x.example", Subject{SMTPPeer: true, With: "ESMTP"})
		s.Envelope.To = to(list...).To
		return s
	}
	known := func(s Subject) Subject {
		s.Resolve = func(a addr.Address) ([]addr.Address, error) { return route.Addresses(c, a) }
		return s
	}
	for _, x := range []struct {
		name string
		s    Subject
		size int64
	}{
		{"a user", user, 2000},
		{"another user", Subject{With: "ESMTPSA", Login: "x@example.com", Envelope: to("bob@x.example")}, 3000},
		{"a user without a row", Subject{With: "ESMTPSA", Login: "bob@example.net", Envelope: to("bob@x.example")}, 1000},
		{"no more than databytes", Subject{With: "ESMTPSA", Login: "big@example.net", Envelope: to("bob@x.example")}, 5000},
		{"a program of this machine", inbox, 5000},
		{"a recipient", outside("alice@example.net"), 2000},
		{"with an extension", outside("alice+x@example.net"), 2000},
		{"the larger of two", outside("x@example.net", "y@example.com"), 3000},
		{"a filter that knows nobody", bare, 5000},
		{"an unknown recipient", known(outside("nobody@example.net")), 1000},
		{"a known and an unknown one", known(outside("alice@example.net", "nobody@example.net")), 2000},
	} {
		for _, more := range []int64{0, 1} {
			s := x.s
			head := "From: alice@example.net\n\n"
			if s.Login != "" {
				head = "From: " + s.Login + "\n\n"
			}
			s.Body = spool.BytesBody([]byte(head + strings.Repeat("x\n", 3000)[:x.size+more-int64(len(head))]))
			v := checkerOf(c, nil).Message(t.Context(), s, nil)
			if (v.Action == control.CheckRefuse) != (more > 0) || more > 0 && !strings.Contains(v.Reason(), fmt.Sprint(x.size)) {
				t.Errorf("%s, %d octets: %s %s", x.name, s.Body.Size(), v.Action, v.Reason())
			}
		}
	}
}

// A declared size refuses at MAIL and RCPT already.
func TestDeclaredSizes(t *testing.T) {
	c := settings(t, "sizes", "alice@example.net: 2000\n@example.com: 3000\n")
	s := checkerOf(c, nil).Session()
	defer s.Close()
	login := user
	login.Declared = 2001
	if err := s.Mail(t.Context(), login); err == nil || !strings.Contains(err.Error(), "2000 octets (control/sizes:1)") {
		t.Error(err)
	}
	login.Declared = 2000
	if err := s.Mail(t.Context(), login); err != nil {
		t.Error(err)
	}
	stranger := peer
	stranger.Envelope.To, stranger.Declared = nil, 2500
	if err := s.Mail(t.Context(), stranger); err != nil {
		t.Fatal(err)
	}
	for address, refused := range map[string]bool{"alice@example.net": true, "bob@example.net": false, "alice@example.com": false} {
		if err := s.Rcpt(t.Context(), spool.Recipient{Addr: address}); (err != nil) != refused {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func BenchmarkText(b *testing.B) {
	body := spool.BytesBody([]byte(strings.Repeat("\n", 25<<20)))
	for b.Loop() {
		if _, err := readText(body); err != nil {
			b.Fatal(err)
		}
	}
}
