package submit

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/check"
	"paperpath/internal/message"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// inHand is a submission as the sendmail face makes it before it reads the message.
func inHand(flags string) *submission {
	return &submission{host: "mx.example.net", domain: "example.net", now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC),
		read: func(b spool.Body) (*message.Header, error) {
			return check.HeaderWithin(check.MaxHeaderBytes, check.MaxFields, b)
		},
		identity: identity{author: addr.Address{Local: "me", Domain: "example.net"}, name: "", flags: flags}}
}

var madeID = regexp.MustCompile(`<[0-9]+\.[0-9a-f]{16}@mx\.example\.net>`)

// completed returns the message as it would lie in the spool, its new
// Message-IDs written as <id>.
func completed(m *submission, in string) (string, error) {
	_, body, err := m.complete(bytes.NewReader([]byte(in)))
	if err != nil {
		return "", err
	}
	out, err := io.ReadAll(io.NewSectionReader(body, 0, body.Size()))
	return madeID.ReplaceAllString(string(out), "<id>"), err
}

const (
	fine   = "Date: Mon, 23 Nov 2026 12:00:00 +0000\nMessage-ID: <1@x>\n"
	fromMe = "From: me@example.net\n"
	added  = "Date: Mon, 23 Nov 2026 12:00:00 +0000\nMessage-ID: <id>\n"
	again  = "Resent-From: me@example.net\n"
	againD = "Resent-Date: Mon, 23 Nov 2026 12:00:00 +0000\nResent-Message-ID: <id>\n"
)

func TestCompleteFixesWhatIsMissing(t *testing.T) {
	for _, c := range []struct{ name, flags, in, want string }{
		{name: "nothing missing, odd layout", in: "FROM :  \"A  B\"\t<a@x> (c)\n\t\nTO:a@x,\n  b@y ;\ndate:now\nMESSAGE-id: nonsense\nX: \x80\xff\n\nbody \n.\n\x80",
			want: "FROM :  \"A  B\"\t<a@x> (c)\n\t\nTO:a@x,\n  b@y ;\ndate:now\nMESSAGE-id: nonsense\nX: \x80\xff\n\nbody \n.\n\x80"},
		{name: "all missing", in: "Subject: x\n\nbody\n", want: fromMe + added + "Subject: x\n\nbody\n"},
		{name: "no Date", in: "From: a@x\nMessage-ID: <1@x>\n\nb\n", want: "Date: Mon, 23 Nov 2026 12:00:00 +0000\nFrom: a@x\nMessage-ID: <1@x>\n\nb\n"},
		{name: "no Message-ID", in: "From: a@x\nDate: d\n\nb\n", want: "Message-ID: <id>\nFrom: a@x\nDate: d\n\nb\n"},
		{name: "empty ones", in: "From:\nTo: \nCc:\t\nBcc:\nReply-To:\n \nSubject:\nDate:\nMessage-ID: \n\nb\n", want: fromMe + added + "Subject:\n\nb\n"},
		{name: "text", in: "just text\n", want: fromMe + added + "\njust text\n"},
		{name: "no body", in: "To: a@x\n", want: fromMe + added + "To: a@x\n"},
		{name: "private ones", in: fromMe + fine + "Bcc: a@x,\n b@y\nReturn-Path: <z@z>\nTo: a@x\nbcc:c\nResent-Bcc: d@x\nResent-To: e@x\n" +
			"Resent-From: me@example.net\nResent-Date: d\nResent-Message-ID: <r>\n\nBcc: stays\n",
			want: fromMe + fine + "To: a@x\nResent-To: e@x\nResent-From: me@example.net\nResent-Date: d\nResent-Message-ID: <r>\n\nBcc: stays\n"},
		{name: "bare names", in: "From: Me <me>\nTo: bob, \"C, D\" <carol>,\n dave (at home), e@x, group: fred, g@y;, \"h i\"\nCc: undisclosed-recipients:;\nReply-To: list\nSender: root\n" + fine + "\nTo: x\n",
			want: "From: Me <me@example.net>\nTo: bob@example.net, \"C, D\" <carol@example.net>,\n dave@example.net (at home), e@x, group: fred@example.net, g@y;, \"h i\"@example.net\nCc: undisclosed-recipients:;\nReply-To: list@example.net\nSender: root@example.net\n" + fine + "\nTo: x\n"},
		{name: "what is no list stays", in: fromMe + fine + "To: all of you\nCc: a@b@c, bob\nX-To: bob\nSubject: bob\n\nb\n", want: fromMe + fine + "To: all of you\nCc: a@b@c, bob\nX-To: bob\nSubject: bob\n\nb\n"},
		{name: "several authors", in: "From: a@x, b@x\n" + fine + "\nb\n", want: "Sender: me@example.net\nFrom: a@x, b@x\n" + fine + "\nb\n"},
		{name: "several authors and a sender", in: "From: a@x, b@x\nSender: b@x\n" + fine + "\nb\n", want: "From: a@x, b@x\nSender: b@x\n" + fine + "\nb\n"},
		{name: "sent again", in: "Resent-To: bob\nReceived: x\nFrom: old\nTo: you@x\n" + fine + "\nb\n",
			want: again + againD + "Resent-To: bob@example.net\nReceived: x\nFrom: old@example.net\nTo: you@x\n" + fine + "\nb\n"},
		{name: "sent again twice", in: "Resent-From: a@x\nResent-Date: d\nResent-To: b\nResent-From: c\nResent-To: d\nFrom: a@x\n" + fine + "\nb\n",
			want: "Resent-Message-ID: <id>\nResent-From: a@x\nResent-Date: d\nResent-To: b@example.net\nResent-From: c\nResent-To: d\nFrom: a@x\n" + fine + "\nb\n"},
		{name: "sent again by two", in: "Resent-From: a@x, b@x\nResent-Date: d\nResent-Message-ID: <r>\nResent-To: b@y\nFrom: a@x\n" + fine + "\nb\n",
			want: "Resent-Sender: me@example.net\nResent-From: a@x, b@x\nResent-Date: d\nResent-Message-ID: <r>\nResent-To: b@y\nFrom: a@x\n" + fine + "\nb\n"},
		{name: "forged results", in: "Authentication-Results: MX.example.net; dkim=pass\n" + fromMe + fine + "\nb\n", want: fromMe + fine + "\nb\n"},
		{name: "flag f", flags: "f", in: "From: a@x\n" + fine + "\nb\n", want: fromMe + fine + "\nb\n"},
		{name: "flag i", flags: "i", in: "From: a@x\n" + fine + "\nb\n", want: "Message-ID: <id>\nFrom: a@x\nDate: Mon, 23 Nov 2026 12:00:00 +0000\n\nb\n"},
		{name: "flag t", flags: "t", in: fromMe + fine + "\nb\n", want: "Cc: recipient list not shown: ;\n" + fromMe + fine + "\nb\n"},
		{name: "flag t, not needed", flags: "t", in: fromMe + fine + "To: a@x\n\nb\n", want: fromMe + fine + "To: a@x\n\nb\n"},
		{name: "a line that is no field", in: "To: bob\nstray line\n" + fromMe + fine + "\nb\n", want: "To: bob\nstray line\n" + fromMe + fine + "\nb\n"},
		{name: "RFC 976", in: ">From a Mon remote from b\nTo: bob\n\nb\n", want: fromMe + added + "X-Mailbox-Line: >From a Mon remote from b\nTo: bob@example.net\n\nb\n"},
		{name: "a run of mbox lines", in: "From a Mon\n>From b\n>From c\n" + fromMe + fine + "\nFrom d\n",
			want: "X-Mailbox-Line: From a Mon\nX-Mailbox-Line: >From b\nX-Mailbox-Line: >From c\n" + fromMe + fine + "\nFrom d\n"},
		{name: "mbox lines and text", in: "From a Mon\n>From b\ntext\n", want: fromMe + added + "X-Mailbox-Line: From a Mon\nX-Mailbox-Line: >From b\n\ntext\n"},
		{name: "mbox", in: "From a Mon\nTo: bob\n\nb\n", want: fromMe + added + "X-Mailbox-Line: From a Mon\nTo: bob@example.net\n\nb\n"},
	} {
		m := inHand(c.flags)
		m.to = []spool.Recipient{{Addr: "x@x"}}
		if got, err := completed(m, c.in); got != c.want || err != nil {
			t.Errorf("%s: %v\n%q, want\n%q", c.name, err, got, c.want)
		}
		// What is complete stays octet for octet.
		m = inHand("")
		m.to = []spool.Recipient{{Addr: "x@x"}}
		if got, err := completed(m, madeID.ReplaceAllString(c.want, "<id@x>")); strings.ReplaceAll(got, "<id@x>", "<id>") != c.want || err != nil {
			t.Errorf("%s, again: %v\n%q, want\n%q", c.name, err, got, c.want)
		}
	}
}

func TestRecipientsFromTheHeader(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"all three", "To: a@x, B <bob>\nCc: c@x\nBcc: d@x\n\nb\n", "a@x bob@example.net c@x d@x"},
		{"each once", "To: a@x, A@X, <a@x>\nBcc: a@x\n\nb\n", "a@x"},
		{"several fields", "To: a@x\nTo: b@x\n\nb\n", "a@x b@x"},
		{"groups and comments", "To: friends: a@x, (not c@x) b@x;, nobody:;\nCc: d (e@x) @x\n\nb\n", "a@x b@x d@x"},
		{"hostile ones", "To: \"x@y, z\" <a@x>, \"b@c\"@x\nSubject: x\n Bcc: e@x\n\nTo: f@x\n", `a@x "b@c"@x`},
		{"folded", "To: a@x,\n\tb@x\n ,c@x\n\nb\n", "a@x b@x c@x"},
		{"sent again", "Resent-To: r@x\nResent-Bcc: s@x\nTo: a@x\nBcc: b@x\n\nb\n", "r@x s@x"},
		{"sent again twice", "Resent-To: r@x\nResent-Cc: s@x\nResent-To: old@x\nResent-Bcc: older@x\nTo: a@x\n\nb\n", "r@x s@x"},
		{"sent again, blocks apart", "Resent-To: r@x\nReceived: x\nResent-Cc: old@x\nTo: a@x\n\nb\n", "r@x"},
		{"below RFC 976", ">From x Mon\nTo: a@x\n\nTo: b@x\n", "a@x"},
		{"below a run of mbox lines", "From x Mon\n>From y\n>From z\nTo: a@x\nCc: b@x\n\nb\n", "a@x b@x"},
		{"none", "To: nobody:;\n\nb\n", "64"},
		{"no list", "To: all of you\n\nb\n", "65"},
		{"encoded words hide nothing", "To: =?utf-8?q?a=40x=2C?= <b@x>\n\nb\n", "b@x"},
	} {
		m := inHand("")
		m.listed = true
		got := ""
		if _, err := completed(m, c.in); err != nil {
			got = fmt.Sprint(status.Exit(err))
		} else {
			got = strings.Join(addresses(spool.Envelope{To: m.to}), " ")
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	m := inHand("")
	m.listed = true
	m.add([]addr.Address{{Local: "op"}})
	if _, err := completed(m, "To: a@x\n\nb\n"); err != nil || strings.Join(addresses(spool.Envelope{To: m.to}), " ") != "op@example.net a@x" {
		t.Errorf("operands and -t: %v %v", m.to, err)
	}
}

func TestManyRecipientsInTheHeader(t *testing.T) {
	var to strings.Builder
	for i := range 4000 {
		fmt.Fprintf(&to, "user%d@example.org,\n ", i)
	}
	m := inHand("")
	m.listed = true
	if _, err := completed(m, "To: "+to.String()+"last@x\n\nb\n"); err != nil || len(m.to) != 4001 {
		t.Errorf("%d recipients: %v", len(m.to), err)
	}
}

// A hostile header costs no more than its size.
func TestManyFields(t *testing.T) {
	var in strings.Builder
	for i := range check.MaxFields - 10 {
		fmt.Fprintf(&in, "%s: u%d\n", []string{"To", "Bcc", "Resent-Bcc", "Resent-To", "From"}[i%5], i)
	}
	begin := time.Now()
	m := inHand("")
	m.listed = true
	m.add([]addr.Address{{Local: "x", Domain: "x"}})
	if _, err := completed(m, in.String()+"\nb\n"); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestEnvelopes(t *testing.T) {
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{Recipients: []string{"a@x, bob"}}, "<me@example.net>: a@x bob@example.net"},
		{Options{Recipients: []string{"a@x"}, Notify: "Success,failure", Return: "HDRS", EnvID: "a b+c"}, "<me@example.net> RET=HDRS ENVID=a+20b+2Bc: a@x NOTIFY=SUCCESS,FAILURE"},
		{Options{Recipients: []string{"a@x"}, Notify: "never", Return: "full"}, "<me@example.net> RET=FULL: a@x NOTIFY=NEVER"},
		{Options{Recipients: []string{"a@x"}, Notify: "delay, failure"}, "<me@example.net>: a@x NOTIFY=DELAY,FAILURE"},
		{Options{Recipients: []string{"a@x"}, Notify: "failure"}, "<me@example.net>: a@x"},
		{Options{Recipients: []string{"a@x", "bob"}, VERP: "+="}, "<me+a=x@example.net>: a@x; <me+bob=example.net@example.net>: bob@example.net"},
		{Options{Recipients: []string{"a@x"}, VERP: "-=", Sender: "list@y", SenderSet: true}, "<list-a=x@y>: a@x"},
		{Options{Recipients: []string{"a@x", "b@x"}, VERP: "+=", Sender: "<>", SenderSet: true}, "<>: a@x b@x"},
		{Options{Recipients: []string{strings.Repeat("l", 64) + "@x"}, VERP: "+="}, "<me@example.net>: " + strings.Repeat("l", 64) + "@x"},
		{Options{Recipients: []string{"a@x"}, Notify: "never,delay"}, "64"},
		{Options{Recipients: []string{"a@x"}, Notify: "often"}, "64"},
		{Options{Recipients: []string{"a@x"}, Return: "all"}, "64"},
		{Options{Recipients: []string{"a@x"}, EnvID: strings.Repeat("x", 101)}, "64"},
		{Options{Recipients: []string{"a@x", "no address"}}, "64"},
		{Options{Recipients: []string{"\"a\r\nRCPT TO:<b@x>\"@x"}}, "64"},
		{Options{Recipients: []string{"a\r\nRCPT TO:<b@x>"}}, "<me@example.net>: b@x"}, // a name and its address
		{Options{Recipients: []string{"a@x"}, Sender: "<a@x>\r\nRCPT TO:<b@x>", SenderSet: true}, "64"},
		{Options{Recipients: []string{"a@x"}, Sender: "\"a\nb\"@x", SenderSet: true}, "64"},
		{Options{Recipients: []string{"a@x"}, EnvID: "1\r\nRSET"}, "64"},
		{Options{Recipients: []string{"a@x"}, Notify: "never\r\nRSET"}, "64"},
		{Options{Recipients: []string{""}}, "64"},
		{Options{Recipients: []string{"a@x"}, Sender: "two@x, three@x", SenderSet: true}, "64"},
	} {
		m := inHand("")
		got := ""
		if err := m.address(c.o, "me"); err != nil {
			got = fmt.Sprint(status.Exit(err))
		} else {
			for _, env := range m.envelopes() {
				got += "; <" + env.From.Addr + ">" + strings.TrimRight(" "+env.From.Params, " ") + ":"
				for _, r := range env.To {
					got += strings.TrimRight(" "+r.Addr+" "+r.Params, " ")
				}
			}
		}
		if got = strings.TrimPrefix(got, "; "); got != c.want {
			t.Errorf("%+v:\n%s, want\n%s", c.o, got, c.want)
		}
	}
}
