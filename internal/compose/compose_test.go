package compose

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/status"
)

// me is the author of messages without From.
var me = Author{Address: addr.Address{Local: "me", Domain: "example.net"}}

func with(flags string) Author { return Author{Address: me.Address, Flags: flags} }

var madeID = regexp.MustCompile(`<[0-9]+\.[0-9a-f]{16}@mx\.example\.net>`)

// completed returns the message as it goes into the spool, its new Message-IDs
// written as <id>. The fields called drop are left out.
func completed(author Author, in string, drop ...string) (string, error) {
	body := strings.NewReader(in)
	h, err := Header(256<<10, 5000, body)
	if err != nil {
		return "", err
	}
	m, err := New(h, body)
	if err != nil {
		return "", err
	}
	for _, name := range drop {
		m.Drop(h.All(name))
	}
	err = m.Complete(Origin{Host: "mx.example.net", Domain: "example.net", Author: author,
		Now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)})
	if err != nil {
		return "", err
	}
	out := m.Body()
	text, err := io.ReadAll(io.NewSectionReader(out, 0, out.Size()))
	return madeID.ReplaceAllString(string(text), "<id>"), err
}

const (
	fine   = "Date: Mon, 23 Nov 2026 12:00:00 +0000\nMessage-ID: <1@x>\n"
	fromMe = "From: me@example.net\n"
	added  = "Date: Mon, 23 Nov 2026 12:00:00 +0000\nMessage-ID: <id>\n"
	again  = "Resent-From: me@example.net\n"
	againD = "Resent-Date: Mon, 23 Nov 2026 12:00:00 +0000\nResent-Message-ID: <id>\n"
)

func TestCompleteAddsWhatIsMissing(t *testing.T) {
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
		{name: "resent", in: "Resent-To: bob\nReceived: x\nFrom: old\nTo: you@x\n" + fine + "\nb\n",
			want: again + againD + "Resent-To: bob@example.net\nReceived: x\nFrom: old@example.net\nTo: you@x\n" + fine + "\nb\n"},
		{name: "resent twice", in: "Resent-From: a@x\nResent-Date: d\nResent-To: b\nResent-From: c\nResent-To: d\nFrom: a@x\n" + fine + "\nb\n",
			want: "Resent-Message-ID: <id>\nResent-From: a@x\nResent-Date: d\nResent-To: b@example.net\nResent-From: c\nResent-To: d\nFrom: a@x\n" + fine + "\nb\n"},
		{name: "resent by two", in: "Resent-From: a@x, b@x\nResent-Date: d\nResent-Message-ID: <r>\nResent-To: b@y\nFrom: a@x\n" + fine + "\nb\n",
			want: "Resent-Sender: me@example.net\nResent-From: a@x, b@x\nResent-Date: d\nResent-Message-ID: <r>\nResent-To: b@y\nFrom: a@x\n" + fine + "\nb\n"},
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
		if got, err := completed(with(c.flags), c.in); got != c.want || err != nil {
			t.Errorf("%s: %v\n%q, want\n%q", c.name, err, got, c.want)
		}
		// What is complete stays octet for octet.
		got, err := completed(me, madeID.ReplaceAllString(c.want, "<id@x>"))
		if strings.ReplaceAll(got, "<id@x>", "<id>") != c.want || err != nil {
			t.Errorf("%s, again: %v\n%q, want\n%q", c.name, err, got, c.want)
		}
	}
}

// Rewrite sees every address with its domain, and whether it is a sender's; the header keeps
// what the submitter wrote. Blocks of earlier times stay as they are.
func TestRewrite(t *testing.T) {
	const in = "From: A (b@x) <a>, old@x\nErrors-To: a@x\nTo: a, \"a@x\" <c@x>,\n group: a@x;\nResent-To: a@x\nReceived: x\nResent-To: a@x\nX: a@x\nTo: broken@@x\n" + fine + "\na@x\n"
	const want = "From: A (b@x) <new@s>, old@x\nErrors-To: new@s\nTo: new@r, \"a@x\" <c@x>,\n group: new@r;\nResent-To: new@r\nReceived: x\nResent-To: a@x\nX: a@x\nTo: broken@@x\n" + fine + "\na@x\n"
	body := strings.NewReader(in)
	h, err := Header(256<<10, 5000, body)
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(h, body)
	if err != nil {
		t.Fatal(err)
	}
	err = m.Complete(Origin{Host: "mx", Domain: "x", Now: time.Now(), Rewrite: func(sender bool, a addr.Address) (addr.Address, error) {
		switch {
		case a.Local != "a":
			return a, nil
		case sender:
			return addr.Address{Local: "new", Domain: "s"}, nil
		}
		return addr.Address{Local: "new", Domain: "r"}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	out := m.Body()
	got, _ := io.ReadAll(io.NewSectionReader(out, 0, out.Size()))
	if text := string(got[strings.Index(string(got), "From:"):]); text != want {
		t.Errorf("%q, want %q", text, want)
	}
	if h.Value("From") != "A (b@x) <a>, old@x" {
		t.Errorf("the header has %q", h.Value("From"))
	}
}

// F+ is the From that was added, DM are Date and Message-ID.
func TestCompleteWithoutADomain(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"From: a@b\nDate: x\nMessage-ID: y\n\nbody\n", "From: a@b\nDate: x\nMessage-ID: y\n\nbody\n"},
		{"just text\n", "F+DM\njust text\n"},
		{"Hello,\nnote: text\n", "F+DM\nHello,\nnote: text\n"},
		{" blank\nFrom: a@b\n\nbody\n", "F+DM\n blank\nFrom: a@b\n\nbody\n"},
		{strings.Repeat("long text\n", 50000), "F+DM\n" + strings.Repeat("long text\n", 50000)},
		{"From a Mon\n>From b\nTo: c@d\n\nbody\n", "F+DMX-Mailbox-Line: From a Mon\nX-Mailbox-Line: >From b\nTo: c@d\n\nbody\n"},
		{"From : a@b\n\nbody\n", "DMFrom : a@b\n\nbody\n"},
		{"\nbody\n", "F+DM\nbody\n"},
		{"To: c@d\n\nbody\n", "F+DMTo: c@d\n\nbody\n"},
		{"To: c@d\n", "F+DMTo: c@d\n"},
		{"Return-Path: <x@y>\nTo: c@d\n\nb\n", "F+DMTo: c@d\n\nb\n"},
	} {
		body := bytes.NewReader([]byte(c.in))
		h, err := Header(256<<10, 5000, body)
		if err != nil {
			t.Fatal(err)
		}
		m, err := New(h, body)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Complete(Origin{Host: "mx", Now: time.Now(), Author: me}); err != nil {
			t.Fatal(err)
		}
		out := m.Body()
		got, _ := io.ReadAll(io.NewSectionReader(out, 0, out.Size()))
		c.want = strings.Replace(c.want, "F+", fromMe, 1)
		c.want = strings.Replace(c.want, "DM", strings.TrimPrefix(m.top.String(), fromMe), 1)
		if string(got) != c.want {
			t.Errorf("%q became %q, want %q", c.in, got, c.want)
		}
	}
}

// The header of the caller has the new fields, and no more those that were dropped.
func TestCompleteChangesTheHeader(t *testing.T) {
	body := strings.NewReader("Bcc: x@y\nTo: a@x\n\nb\n")
	h, err := Header(256<<10, 5000, body)
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(h, body)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Complete(Origin{Host: "mx", Now: time.Now(), Author: me}); err != nil {
		t.Fatal(err)
	}
	if h.Has("Bcc") || !h.Has("To") || h.Value("From") != "me@example.net" || !strings.HasSuffix(h.Value("Message-ID"), "@mx>") {
		t.Errorf("the header has %+v", h.Fields)
	}
}

func TestDrop(t *testing.T) {
	for _, c := range []struct{ name, drop, in, want string }{
		{"one", "X", "X: 1\n" + fromMe + fine + "\nX: b\n", fromMe + fine + "\nX: b\n"},
		{"folded, several", "X", fromMe + "x : 1\n 2\n" + fine + "X: 3\n\nb\n", fromMe + fine + "\nb\n"},
		{"what would be dropped anyway", "Bcc", "Bcc: a\n" + fromMe + fine + "\nb\n", fromMe + fine + "\nb\n"},
		{"what is added then", "From", "From: x@y\n" + fine + "\nb\n", fromMe + fine + "\nb\n"},
		{"nothing", "Y", "X: 1\n" + fromMe + fine + "\nb\n", "X: 1\n" + fromMe + fine + "\nb\n"},
	} {
		if got, err := completed(me, c.in, c.drop); got != c.want || err != nil {
			t.Errorf("%s: %v\n%q, want\n%q", c.name, err, got, c.want)
		}
	}
}

func TestMailbox(t *testing.T) {
	for name, want := range map[string]string{
		"":            "me@example.net|me@example.net",
		"Jo Doe":      `"Jo Doe" <me@example.net>|me@example.net (Jo Doe)`,
		`Jo "x" \ (y`: `"Jo \"x\" \\ (y" <me@example.net>|me@example.net (Jo "x" \\ \(y)`,
		"a\nBcc: x@y": `"a Bcc: x@y" <me@example.net>|me@example.net (a Bcc: x@y)`,
		"Jürgen":      "=?utf-8?q?J=C3=BCrgen?= <me@example.net>|me@example.net (=?utf-8?q?J=C3=BCrgen?=)",
		"Jü> <e@x, (": "=?utf-8?b?SsO8PiA8ZUB4LCAo?= <me@example.net>|me@example.net (=?utf-8?b?SsO8PiA8ZUB4LCAo?=)",
		"=?utf-8?q?x": `"=?utf-8?q?x" <me@example.net>|me@example.net (=?utf-8?q?x)`,
	} {
		a := Author{Address: me.Address, Name: name}
		got := a.mailbox()
		a.Flags = "c"
		if got += "|" + a.mailbox(); got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
}

func TestPhrase(t *testing.T) {
	for name, want := range map[string]string{"Bob": `"Bob"`, `B "x" \`: `"B \"x\" \\"`, "a\r\nBcc: x": `"a  Bcc: x"`, "Jürgen": "=?utf-8?q?J=C3=BCrgen?="} {
		if got := phrase(name); got != want {
			t.Errorf("%q became %s", name, got)
		}
	}
}

func TestRecipients(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"all three", "To: a@x, B <bob>\nCc: c@x\nBcc: d@x\n\nb\n", "a@x bob c@x d@x"},
		{"several fields", "To: a@x\nTo: b@x\n\nb\n", "a@x b@x"},
		{"groups and comments", "To: friends: a@x, (not c@x) b@x;, nobody:;\nCc: d (e@x) @x\n\nb\n", "a@x b@x d@x"},
		{"hostile ones", "To: \"x@y, z\" <a@x>, \"b@c\"@x\nSubject: x\n Bcc: e@x\n\nTo: f@x\n", `a@x "b@c"@x`},
		{"folded", "To: a@x,\n\tb@x\n ,c@x\n\nb\n", "a@x b@x c@x"},
		{"resent", "Resent-To: r@x\nResent-Bcc: s@x\nTo: a@x\nBcc: b@x\n\nb\n", "r@x s@x"},
		{"resent twice", "Resent-To: r@x\nResent-Cc: s@x\nResent-To: old@x\nResent-Bcc: older@x\nTo: a@x\n\nb\n", "r@x s@x"},
		{"resent, blocks apart", "Resent-To: r@x\nReceived: x\nResent-Cc: old@x\nTo: a@x\n\nb\n", "r@x"},
		{"below RFC 976", ">From x Mon\nTo: a@x\n\nTo: b@x\n", "a@x"},
		{"below a run of mbox lines", "From x Mon\n>From y\n>From z\nTo: a@x\nCc: b@x\n\nb\n", "a@x b@x"},
		{"none", "To: nobody:;\n\nb\n", ""},
		{"no list", "To: all of you\n\nb\n", "65"},
		{"encoded words hide nothing", "To: =?utf-8?q?a=40x=2C?= <b@x>\n\nb\n", "b@x"},
	} {
		h, err := Header(256<<10, 5000, strings.NewReader(c.in))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if list, err := Recipients(h); err != nil {
			got = fmt.Sprint(status.Exit(err))
		} else {
			for _, a := range list {
				got += " " + a.String()
			}
			got = strings.TrimPrefix(got, " ")
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// A hostile header costs no more than its size.
func TestManyFields(t *testing.T) {
	var in strings.Builder
	for i := range 5000 - 10 {
		fmt.Fprintf(&in, "%s: u%d\n", []string{"To", "Bcc", "Resent-Bcc", "Resent-To", "From"}[i%5], i)
	}
	begin := time.Now()
	if _, err := completed(me, in.String()+"\nb\n"); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}
