package check

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/authres"
	"paperpath/internal/control"
	"paperpath/internal/explain"
	"paperpath/internal/spool"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// settings returns a home's control directory with these files: name, text,
// name, text ...
func settings(t testing.TB, files ...string) *control.Control {
	t.Helper()
	home := t.TempDir()
	writeControl(t, home, append([]string{"hostname", "mx.example.net\n", "domains", "example.net\nexample.com\n"}, files...)...)
	return control.Open(home, time.Now)
}

func writeControl(t testing.TB, home string, files ...string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(home, "control"), 0o700); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour) // a file that has just changed is asked twice
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(home, "control", files[i])
		if err := os.WriteFile(path, []byte(files[i+1]), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
}

func to(list ...string) spool.Envelope {
	var env spool.Envelope
	for _, a := range list {
		env.To = append(env.To, spool.Recipient{Addr: a})
	}
	return env
}

func from(path string, s Subject) Subject {
	s.Envelope.From.Addr = path
	return s
}

// checkerOf has these settings; with rows it makes these checks instead of ours.
func checkerOf(c *control.Control, rows func() []row) *Checker {
	return &Checker{Control: c, Host: "mx.example.net", Now: time.Now, DNS: ownZone{}, rows: rows}
}

// judgeText judges a message and returns "kind exit reply status".
func judgeText(c *control.Control, s Subject, text string) (string, Verdict) {
	s.Body = spool.BytesBody([]byte(text))
	v := checkerOf(c, nil).Message(context.Background(), s, nil)
	return summaryOf(v), v
}

func summaryOf(v Verdict) string {
	if v.Action == control.CheckAccept {
		return "pass"
	}
	code, enhanced, _ := status.Reply(v.Err)
	return strings.Join([]string{string(v.Action), enhanced, replyClass(code)}, " ")
}

func replyClass(code int) string { return string(rune('0'+code/100)) + "xx" }

var (
	report = Subject{SMTPPeer: true, With: "ESMTP", Envelope: to("alice@example.net")}
	peer   = from("bob@x.example", report)
	user   = Subject{With: "ESMTPSA", Login: "alice@example.net", Envelope: to("bob@x.example")}
	caller = Subject{With: spool.WithLocal, LocalUser: "www-data", Envelope: to("bob@x.example")}
	inbox  = Subject{With: spool.WithLocal, Envelope: to("bob@x.example")}
	bare   = Subject{}
	bad    = Subject{SMTPPeer: true, With: "ESMTP", Client: netip.MustParseAddr("192.0.2.9"), Envelope: to("alice@example.net")}

	extended = Subject{SMTPPeer: true, With: "ESMTP", Envelope: to("alice+x@example.net")}
	two      = Subject{SMTPPeer: true, With: "ESMTP", Envelope: to("alice@example.net", "bob@example.net")}
	again    = Subject{With: spool.WithLocal, Envelope: to("alice@example.net")}
)

type messageRow struct {
	name string
	s    Subject
	text string
	want string
}

func limited(t *testing.T) *control.Control {
	return settings(t, "users", "alice@example.net:*\nbob@example.net:*\n",
		"user-checks", "alice@example.net: deny=eve@x.example\n",
		"databytes", "20000\n", "limits",
		"headerbytes: 10000\nhops: 3\nfields: 200\nmimedepth: 3\nmimeparts: 5\n",
		"checks", "date: defer\nmessage-id: defer\nfields: defer\nlines: defer\nnul: defer\ndnsbl: refuse\n",
		"mime", ".exe: refuse\n", "holdrules", "from=held@x.example: look first\n", "dnsbl", "bl.example: 2\n")
}

func TestMessage(t *testing.T) {
	c := limited(t)
	for _, x := range messageRows() {
		got, v := judgeText(c, x.s, x.text)
		if got != x.want {
			t.Errorf("%s: %s (%s), want %s", x.name, got, v.Reason(), x.want)
		}
	}
}

// TestEveryCheckIsHeld: without any one of the checks some row of TestMessage would
// have another result.
func TestEveryCheckIsHeld(t *testing.T) {
	c := limited(t)
	for i, without := range rows() {
		if without.strangers {
			continue // TestEveryStrangersCheckIsHeld
		}
		list := slices.Delete(rows(), i, i+1)
		k := checkerOf(c, func() []row { return list })
		if !slices.ContainsFunc(messageRows(), func(x messageRow) bool {
			x.s.Body = spool.BytesBody([]byte(x.text))
			return summaryOf(k.Message(context.Background(), x.s, nil)) != x.want
		}) {
			t.Errorf("no row of TestMessage needs the check %s", without.make().Name())
		}
	}
}

// TestResultsReachTheVerdict: what a check finds is in the verdict and on top of the
// message, also when a later check refuses.
func TestResultsReachTheVerdict(t *testing.T) {
	c := limited(t)
	method := authres.Method{Name: "spf", Result: "pass"}
	for _, refuses := range []bool{false, true} {
		s := peer
		s.Body = spool.BytesBody([]byte("From: bob@x.example\n\nhello\n"))
		k := checkerOf(c, func() []row {
			return append(rows(),
				fakeRow("from", phasePolicy, Finding{Methods: []authres.Method{method}}),
				fakeRow("from", phaseFilters, Finding{Fails: refuses, Reason: "no"}))
		})
		v := k.Message(context.Background(), s, nil)
		if (v.Err != nil) != refuses || len(v.Results) != 1 {
			t.Errorf("%v, results %q", v.Err, v.Results)
		}
		out := WithResults(v, "mx.example.net")
		text, err := io.ReadAll(io.NewSectionReader(out, 0, out.Size()))
		if err != nil || !strings.HasPrefix(string(text), "Authentication-Results: mx.example.net;\n spf=pass\nFrom: ") {
			t.Errorf("%q, %v", text, err)
		}
	}
}

// nest is the header of a message that so many messages contain.
func nest(n int) string {
	return "From: bob@x.example\n" + strings.Repeat("Content-Type: message/rfc822\n\n", n)
}

func messageRows() []messageRow {
	const ok = "From: alice@example.net\nSubject: x\n\nhello\n"
	hop := "Received: by a; now\n"
	return []messageRow{
		{"plain", peer, ok, "pass"},
		{"plain from outside", strangerAt("192.0.2.7"), "From: bob@x.example\n\n", "pass"},
		{"our own domain from outside", strangerAt("192.0.2.7"), ok, "tag 4.3.0 4xx"},
		{"from a sender whose mail is held", from("held@x.example", report), "From: bob@x.example\n\n", "hold 5.7.1 5xx"},
		{"from a sender whom the recipient denies", from("eve@x.example", report), "From: bob@x.example\n\n", "refuse 5.7.1 5xx"},
		{"plain from a user", user, ok, "pass"},
		{"plain from a caller", caller, ok, "pass"},
		{"plain in the inbox", inbox, ok, "pass"},
		{"plain from a listed host", bad, ok, "refuse 5.7.1 5xx"},
		{"no body", peer, "From: a@b\n\n", "pass"},
		{"header that the message ends", peer, "From: a@b\n", "pass"},
		{"full size", peer, ok + strings.Repeat("xxxxxxxxx\n", 2000)[:20000-len(ok)], "pass"},
		{"too large", peer, ok + strings.Repeat("x", 20001-len(ok)), "refuse 5.3.4 5xx"},
		{"a date that cannot be read", peer, "Date: now\n" + ok, "defer 4.7.1 4xx"},
		{"a Message-ID that is none", peer, "Message-ID: x\n" + ok, "defer 4.7.1 4xx"},
		{"two subjects", peer, "Subject: y\n" + ok, "defer 4.7.1 4xx"},
		{"a long line", peer, ok + strings.Repeat("x", 999) + "\n", "defer 4.7.1 4xx"},
		{"nested too deeply", peer, nest(4) + "\nx\n", "refuse 5.6.0 5xx"},
		{"nested just so", peer, nest(3) + "\nx\n", "pass"},
		{"a file that is not accepted", peer, "Content-Type: x/y; name=A.EXE\n" + ok, "refuse 5.7.1 5xx"},
		{"header too long", peer, "From: a@b\n" + strings.Repeat("X: 0123456789\n", 150) + "Y: " + strings.Repeat("y", 9000) + "\n\n", "refuse 5.6.0 5xx"},
		{"header without an end", bare, strings.Repeat("x", 15000), "refuse 5.6.0 5xx"},
		{"too many fields", peer, "From: a@b\n" + strings.Repeat("X: y\n", 200) + "\n", "refuse 5.6.0 5xx"},
		{"most fields", peer, "From: a@b\n" + strings.Repeat("X: y\n", 199) + "\n", "pass"},
		{"no header", peer, "hello\n", "refuse 5.6.0 5xx"},
		{"empty", peer, "", "refuse 5.6.0 5xx"},
		{"no From", peer, "Subject: x\n\nFrom: a@b\n", "refuse 5.6.0 5xx"},
		{"no From in the inbox", inbox, "Subject: x\n\n", "refuse 5.6.0 5xx"},
		{"two From", peer, "From: a@b\nSubject: x\nFROM : c@d\n\n", "refuse 5.6.0 5xx"},
		{"two From around junk", peer, "From: a@b\njunk\nfrom: c@d\n\n", "refuse 5.6.0 5xx"},
		{"From with two authors", peer, "From: a@b, c@d\n\n", "refuse 5.6.0 5xx"},
		{"From with two authors and a Sender", peer, "From: a@b, c@d\nSender: e@f\n\n", "pass"},
		{"From with two authors and two Senders", peer, "From: a@b, c@d\nSender: e@f\nSender: e@f\n\n", "refuse 5.6.0 5xx"},
		{"From with two authors and no sender", peer, "From: a@b, c@d\nSender: <>\n\n", "refuse 5.6.0 5xx"},
		{"odd From of a peer", peer, "From: a b <c@@d\n\n", "refuse 5.6.0 5xx"},
		{"From with two angle addresses", peer, "From: <a@b> <c@d>\n\n", "refuse 5.6.0 5xx"},
		{"From with two angle addresses, named", peer, "From: A <a@b> C <c@d>\n\n", "refuse 5.6.0 5xx"},
		{"From with the null path", peer, "From: <>\n\n", "refuse 5.6.0 5xx"},
		{"From with the null path in a report", report, "From: <>\n\n", "pass"},
		{"From with a bare name in a report", report, "From: Mail Delivery Subsystem <MAILER-DAEMON>\n\n", "pass"},
		{"From with another bare name in a report", report, "From: Bank <service>\n\n", "refuse 5.6.0 5xx"},
		{"From with a name and the null path in a report", report, "From: Bank <>\n\n", "refuse 5.6.0 5xx"},
		{"From with two angle addresses in a report", report, "From: <a@b> <c@d>\n\n", "refuse 5.6.0 5xx"},
		{"From with an @ that no domain follows", peer, "From: Tickets @ Work <a@b>\n\n", "pass"},
		{"From with commas in the name", peer, "From: John Q. Public, Esq. <a@b>\n\n", "pass"},
		{"From with commas in the name in the inbox", inbox, "From: Room 2, 3rd Floor, Main <a@b>\n\n", "pass"},
		{"From below a folded name", peer, "From: a@b\nSubject: x\nFrom\n : c@d\n\n", "refuse 5.6.0 5xx"},
		{"From with a name and the null path", peer, "From: MAILER-DAEMON <>\n\n", "refuse 5.6.0 5xx"},
		{"From with a name alone", peer, "From: Alice\n\n", "refuse 5.6.0 5xx"},
		{"From with a comment alone", peer, "From: (a@b)\n\n", "refuse 5.6.0 5xx"},
		{"From with a quoted address alone", peer, "From: \"a@b\"\n\n", "refuse 5.6.0 5xx"},
		{"From with an encoded address alone", peer, "From: =?utf-8?q?a=40b?=\n\n", "refuse 5.6.0 5xx"},
		{"From with an empty group", peer, "From: Nobody:;\n\n", "refuse 5.6.0 5xx"},
		{"From with a group", peer, "From: Us: a@b;\n\n", "pass"},
		{"From with another address for a name", peer, "From: a@b.example <c@d>\n\n", "refuse 5.6.0 5xx"},
		{"From with its address for a name", peer, "From: c@d <C@d>\n\n", "pass"},
		{"From with a comma in the name", peer, "From: Foo, Inc. <a@b>\n\n", "pass"},
		{"From with dots in the name", peer, "From: John Q. Public <a@b>\n\n", "pass"},
		{"From in the old way", peer, "From: a@b (A (x) B)\n\n", "pass"},
		{"From with two angle addresses by the filter", bare, "From: <a@b> <c@d>\n\n", "refuse 5.6.0 5xx"},
		{"odd From of a user", user, "From: a b <c@@d\n\n", "refuse 5.6.0 5xx"},
		{"odd From in the inbox", inbox, "From: a b <c@@d\n\n", "refuse 5.6.0 5xx"},
		{"empty From of a peer", peer, "From:\n\n", "refuse 5.6.0 5xx"},
		{"empty From of a user", user, "From: \n\n", "refuse 5.6.0 5xx"},
		{"From with a control byte", peer, "From: a@b\x01\n\n", "refuse 5.6.0 5xx"},
		{"From with a bare CR", peer, "From: a@b\rFrom: c@d\n\n", "refuse 5.6.0 5xx"},
		{"From with 8-bit text", peer, "From: Gr\xfc\xdfe <a@b>\n\n", "pass"},
		{"folded From", user, "From: \"Alice\"\n\t<alice@example.net>\n\n", "pass"},
		{"NUL", peer, "From: a@b\nSubject: x\x00y\n\n", "refuse 5.6.0 5xx"},
		{"fold on top", peer, " fold\nFrom: a@b\n\n", "refuse 5.6.0 5xx"},
		{"text on top", peer, "text\nFrom: a@b\n\n", "refuse 5.6.0 5xx"},
		{"a bare CR", bare, "From: a@b\nSubject: x\rAuthentication-Results: mx.example.net; spf=pass\n\n", "refuse 5.6.0 5xx"},
		{"CR CR LF", bare, "From: a@b\r\r\n\r\n", "refuse 5.6.0 5xx"},
		{"a bare CR in the body", bare, "From: a@b\n\nx\ry\n", "pass"},
		{"NUL in the body", peer, "From: a@b\n\nx\x00y\n", "defer 4.7.1 4xx"},
		{"mbox lines and junk", peer, "From x Mon\n>From y\nFrom: a@b\nno colon here\n\n", "defer 4.7.1 4xx"},
		{"hops", peer, strings.Repeat(hop, 3) + ok, "pass"},
		{"too many hops", peer, strings.Repeat(hop, 4) + ok, "refuse 5.4.6 5xx"},
		{"too many hops of a user", user, strings.Repeat(hop, 4) + ok, "refuse 5.4.6 5xx"},
		{"loop", peer, "Delivered-To: ALICE@example.net\n" + ok, "refuse 5.4.6 5xx"},
		{"loop, in brackets", peer, "Delivered-To: <alice@example.net> NOTIFY=NEVER\n" + ok, "refuse 5.4.6 5xx"},
		{"loop, quoted", peer, "Delivered-To: \"alice\"@example.net\n" + ok, "refuse 5.4.6 5xx"},
		{"loop, with an extension", extended, "Delivered-To: alice@example.net\n" + ok, "refuse 5.4.6 5xx"},
		{"loop for one of two", two, "Delivered-To: alice@example.net\n" + ok, "pass"},
		{"loop for both", two, "Delivered-To: alice@example.net\nDelivered-To: bob@example.net\n" + ok, "refuse 5.4.6 5xx"},
		{"loop by way of run/submit", again, hop + "Delivered-To: alice@example.net\n" + ok, "refuse 5.4.6 5xx"},
		{"sent again from a mailbox", again, "Delivered-To: alice@example.net\n" + hop + ok, "pass"},
		{"sent again by a mail reader", again, "Resent-From: alice@example.net\n" + hop + "Delivered-To: alice@example.net\n" + ok, "pass"},
		{"delivered to another", peer, "Delivered-To: bob@example.net\n" + ok, "pass"},
		{"delivered, sent on by a user", user, "Delivered-To: bob@x.example\n" + ok, "pass"},
		{"delivered, sent on here", inbox, "Delivered-To: bob@x.example\n" + ok, "pass"},
		{"user with another's From", user, "From: bob@example.net\n\n", "refuse 5.7.1 5xx"},
		{"user among authors", user, "From: alice@example.net, bob@example.net\n\n", "refuse 5.7.1 5xx"},
		{"user behind a group", user, "From: Us: alice@example.net, eve@example.net;\n\n", "refuse 5.7.1 5xx"},
		{"user with another's address as a name", user, "From: bob@example.net <alice@example.net>\n\n", "refuse 5.6.0 5xx"},
		{"user with another's address as a quoted name", user, "From: \"bob@example.net\" <alice@example.net>\n\n", "pass"},
		{"user with their address as a name", user, "From: alice@example.net <alice@example.net>\n\n", "pass"},
		{"user with another's address in a quoted local part", user, "From: \"alice+ <bob@example.net>\"@example.net\n\n", "refuse 5.7.1 5xx"},
		{"user with a Sender that does not parse", user, "From: alice@example.net\nSender: bob@example.net <alice@example.net>\n\n", "refuse 5.6.0 5xx"},
		{"user with a Sender without an address", user, "From: alice@example.net\nResent-Sender: (bob@example.net)\n\n", "refuse 5.6.0 5xx"},
	}
}

// TestReversePath: the reverse path of an authenticated submitter is judged too.
func TestReversePath(t *testing.T) {
	c := settings(t)
	for from, want := range map[string]string{"": "pass", "alice+x@example.net": "pass", "eve@example.net": "refuse 5.7.1 5xx", "no address": "refuse 5.1.7 5xx"} {
		s := user
		s.Envelope.From.Addr = from
		if got, v := judgeText(c, s, "From: alice@example.net\n\n"); got != want {
			t.Errorf("%q: %s (%s), want %s", from, got, v.Reason(), want)
		}
	}
}

// TestTrouble: faults of the settings or the disk are temporary.
func TestTrouble(t *testing.T) {
	for _, file := range []string{"databytes", "limits"} {
		c := settings(t, file, "what: is this\nnow\n")
		if got, v := judgeText(c, user, "From: alice@example.net\n\n"); v.Action != control.CheckDefer {
			t.Errorf("%s: %s (%s)", file, got, v.Reason())
		}
	}
	// A broken row does not refuse what it may allow, and harms nothing else.
	for text, want := range map[string]string{
		"now\n":                       "pass defer defer",
		"alice@example.net: x y\n":    "defer defer defer",
		"@example.net: a@b@c\n":       "pass defer refuse",
		"*: x y\n":                    "pass defer defer",
		"other@example.net: x y\n":    "pass refuse refuse",
		"@example.org: alice@-\n":     "pass refuse defer",
		"alice@example.net: *\nnow\n": "pass pass pass",
	} {
		c := settings(t, "senders", text)
		var kinds []string
		for _, from := range []string{"alice@example.net", "bob@example.net", "x@example.org"} {
			_, v := judgeText(c, user, "From: "+from+"\n\n")
			kinds = append(kinds, strings.Split(v.String(), ":")[0])
		}
		if got := strings.Join(kinds, " "); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	s := peer
	s.Body = failing{}
	if v := checkerOf(settings(t), nil).Message(context.Background(), s, nil); v.Action != control.CheckDefer || !strings.Contains(v.Reason(), "disk") {
		t.Errorf("%+v", v)
	}
	s = user
	s.Resolve = func(addr.Address) ([]addr.Address, error) { return nil, errors.New("no table") }
	if got, v := judgeText(settings(t), s, "From: team@example.net\n\n"); v.Action != control.CheckDefer {
		t.Errorf("%s (%s)", got, v.Reason())
	}
}

type failing struct{}

func (failing) ReadAt([]byte, int64) (int, error) { return 0, errors.New("bad disk") }
func (failing) Size() int64                       { return 100 }

// TestTrail: explain prints each decision, and last the outcome.
func TestTrail(t *testing.T) {
	var trail explain.Trail
	s := user
	s.Body = spool.BytesBody([]byte("From: eve@example.net\n\n"))
	checkerOf(settings(t), nil).Message(context.Background(), s, &trail)
	var b strings.Builder
	if err := trail.Write(&b, false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"size: 23 of 26214400 octets (control/databytes)\n", "From fields: 1\n", "hops: 0 of 100",
		"sender: eve@example.net refused (control/senders)\n", "=> refuse: alice@example.net may not send as eve@example.net\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

// FuzzMessage: any octets get a verdict, and which addresses a user may use does not
// depend on how they write them.
func FuzzMessage(f *testing.F) {
	f.Add([]byte("From: alice@example.net\nDelivered-To: x\n\n"))
	f.Add([]byte("From: =?x?q?a?= <alice@example.net> (\nReceived:\n\n"))
	c := control.Open(f.TempDir(), time.Now)
	f.Fuzz(func(t *testing.T, p []byte) {
		for _, s := range []Subject{peer, user, inbox} {
			s.Body = spool.BytesBody(p)
			v := checkerOf(c, nil).Message(context.Background(), s, nil)
			if v.Action == control.CheckDefer || (v.Err == nil) != v.Passes() {
				t.Fatalf("%+v", v)
			}
			_, _, text := status.Reply(v.Err)
			if v.Err != nil && (text != visible.ASCII(text) || strings.ContainsAny(text, "\r\n")) {
				t.Fatalf("reply %q", text)
			}
		}
	})
}
