package dsn

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gomessage "github.com/emersion/go-message"
	"github.com/google/go-cmp/cmp"

	"paperpath/internal/status"
)

var update = flag.Bool("update", false, "write the golden files")

// remote is a refusal as mailrelay reports it.
func remote(code int, enhanced, reply string) (said string, err error) {
	text := "mx.x.example [192.0.2.25]:25: RCPT TO:<b@x.example>: " + reply
	if code < 500 {
		e := status.Temp(enhanced, text, nil)
		e.Reply = code
		return reply, e
	}
	return reply, &status.Error{Exit: status.Unavailable, Reply: code, Enhanced: enhanced, Text: text}
}

// goldens are reports whose whole text is kept in testdata.
func goldens() map[string]*Report {
	base := func(kind Kind, text string, to ...Recipient) *Report {
		r := failedReport()
		r.Kind, r.Recipients = kind, to
		if text != "" {
			r.Message = io.NewSectionReader(strings.NewReader(text), 0, int64(len(text)))
		}
		return r
	}
	said, refused := remote(550, "5.1.1", "550 5.1.1 <b@x.example>: no such user")
	saidPolicy, policy := remote(554, "5.7.1", "554 5.7.1 blocked, see https://x.example/why")
	saidBare, bare := remote(550, "5.0.0", "550 no")
	saidBusy, busy := remote(450, "4.2.2", "450 4.2.2 over quota")
	silent := status.Temp("4.4.1", "mx.x.example [192.0.2.25]:25: connect: connection refused", nil)
	const thread = "Received: by mx.example.net\n with ESMTPA id x\nDelivered-To: secret@example.org\n" +
		"Bcc: hidden@example.org,\n also@example.org\nSubject: =?utf-8?q?Mittag_am_Fre=C3=ADtag=3F?=\n" +
		"References: <1@example.org>\n <2@example.org> broken\nMessage-ID: <3@example.org>\n\nBis dann\n"
	list := map[string]*Report{
		"failed": base(Failed, "", Recipient{"b@x.example", "ORCPT=rfc822;bob@y.example", refused, "mx.x.example", said},
			Recipient{"c@x.example", "", policy, "mx.x.example", saidPolicy},
			Recipient{"d@x.example", "", policy, "mx.x.example", saidPolicy},
			Recipient{"e@gone.example", "", &status.Error{Exit: status.Unavailable, Reply: 550, Enhanced: "5.1.2",
				Text: "the domain gone.example does not exist"}, "", ""},
			Recipient{"f@x.example", "", bare, "mx.x.example", saidBare}),
		"expired": base(Failed, thread, Recipient{"b@x.example", "", &Expired{120 * time.Hour, silent}, "", ""},
			Recipient{"c@x.example", "", &Expired{120 * time.Hour, busy}, "mx.x.example", saidBusy}),
		"delayed":   base(Delayed, "", Recipient{"b@x.example", "NOTIFY=DELAY", busy, "mx.x.example", saidBusy}),
		"relayed":   base(Relayed, "", Recipient{"b@x.example", "NOTIFY=SUCCESS", nil, "mx.x.example", "250 2.0.0 mine"}),
		"delivered": base(Delivered, "", Recipient{"b@x.example", "NOTIFY=SUCCESS", nil, "", ""}),
		"utf8": base(Failed, "Received: by mx.example.net\n with UTF8SMTPA id x\nFrom: jürgen@example.org\nSubject: Grüße\n\nGrüße\n",
			Recipient{"bjørn@x.example", "", refused, "mx.x.example", said}),
		"8bit": base(Failed, "Received: by mx.example.net\n with ESMTPA id x\nSubject: Gr\xfc\xdfe\n\n"+strings.Repeat("long ", 300)+"\n",
			Recipient{"b@x.example", "", refused, "mx.x.example", said}),
	}
	list["delayed"].RetryUntil = list["delayed"].Arrival.Add(120 * time.Hour)
	list["expired"].SenderParams = "ENVID=q+2B7 RET=FULL"
	list["utf8"].Sender, list["utf8"].UTF8 = "jürgen@example.org", true
	return list
}

func TestGolden(t *testing.T) {
	for name, r := range goldens() {
		t.Run(name, func(t *testing.T) {
			got, err := r.Compose()
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name+".eml")
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), string(got)); d != "" {
				t.Errorf("(- is the file)\n%s", d)
			}
			wellFormed(t, got)
		})
	}
}

// wellFormed holds what is true of every report: go-message reads it back, its parts have
// the right types, no line is too long, nothing is 8-bit that is not declared so.
func wellFormed(t *testing.T, report []byte) {
	t.Helper()
	for line := range bytes.Lines(report) {
		if len(line) > 999 {
			t.Errorf("a line of %d octets", len(line))
		}
	}
	e, err := gomessage.Read(bytes.NewReader(bytes.ReplaceAll(report, []byte("\n"), []byte("\r\n"))))
	if err != nil {
		t.Fatal(err)
	}
	kind, params, err := e.Header.ContentType()
	if err != nil || kind != "multipart/report" || params["report-type"] != "delivery-status" {
		t.Errorf("%s %v %v", kind, params, err)
	}
	whole := e.Header.Get("Content-Transfer-Encoding")
	parts := e.MultipartReader()
	var kinds []string
	for {
		p, err := parts.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		kind, _, err := p.Header.ContentType()
		kinds = append(kinds, kind)
		text, readErr := io.ReadAll(p.Body)
		if err != nil || readErr != nil {
			t.Errorf("part %s: %v %v", kind, err, readErr)
		}
		eight := bytes.ContainsFunc(text, func(r rune) bool { return r > 0x7f })
		if code := p.Header.Get("Content-Transfer-Encoding"); code == "7bit" && eight || code == "8bit" && whole != "8bit" {
			t.Errorf("part %s is %s, the whole %q, 8-bit: %v", kind, code, whole, eight)
		}
	}
	if len(kinds) != 3 || kinds[0] != "text/plain" || !strings.HasSuffix(kinds[1], "delivery-status") {
		t.Errorf("parts %q", kinds)
	}
}

// TestNobodyElse: the part returned names no recipient that the sender need not know.
func TestNobodyElse(t *testing.T) {
	text, err := goldens()["expired"].Compose()
	if err != nil {
		t.Fatal(err)
	}
	for _, hidden := range []string{"secret@", "hidden@", "also@", "Bcc", "Delivered-To"} {
		if bytes.Contains(text, []byte(hidden)) {
			t.Errorf("%s is returned", hidden)
		}
	}
}

// TestManyRecipients: people read about fifty, programs about all.
func TestManyRecipients(t *testing.T) {
	r := failedReport()
	r.Recipients = nil
	for i := range 300 {
		r.Recipients = append(r.Recipients, Recipient{Address: fmt.Sprintf("u%d@x.example", i), Err: errUnknown})
	}
	text, err := r.Compose()
	if err != nil {
		t.Fatal(err)
	}
	human := r.human(true)
	if strings.Count(human, "@x.example>") != 50 || !strings.Contains(human, "\nand 250 more, ") ||
		strings.Count(human, "There is no mailbox") != 1 || strings.Count(string(text), "Final-Recipient: ") != 300 {
		t.Errorf("%s", text)
	}
}

// TestWhy: what the codes mean in plain words, and that all words are sentences.
func TestWhy(t *testing.T) {
	for code, w := range codes() {
		for _, s := range []string{w.what, w.do} {
			if s != "" && (!strings.HasSuffix(s, ".") || s[0] < 'A' || s[0] > 'Z') {
				t.Errorf("%s: %q is no sentence", code, s)
			}
		}
		if w.what == "" {
			t.Errorf("%s has no words", code)
		}
	}
	for _, c := range []struct {
		code     int
		enhanced string
		want     string
	}{
		{550, "5.1.1", "There is no mailbox"}, {552, "5.2.2", "The mailbox is full"}, {552, "5.3.4", "too large for"},
		{550, "5.4.4", "No host is known"}, {550, "5.1.2", "does not exist"}, {556, "5.1.10", "accepts no mail at all"},
		{550, "5.7.1", "by its rules"}, {550, "5.7.509", "by its rules"}, {550, "5.7.25", "PTR"}, {451, "4.4.1", "did not answer"},
		{550, "5.0.0", "refuses the message."}, {552, "5.0.0", "cannot take"}, {571, "5.0.0", "by its rules"},
		{521, "5.0.0", "accepts no mail"}, {550, "5.9.9", "refuses the message."}, {421, "4.0.0", "temporary problem"},
	} {
		_, err := remote(c.code, c.enhanced, "x")
		if got := whyOf(err).what; !strings.Contains(got, c.want) {
			t.Errorf("%d %s: %q, want %q", c.code, c.enhanced, got, c.want)
		}
	}
	if got := whyOf(io.EOF).what; got != "There is a temporary problem." {
		t.Error(got)
	}
}

// FuzzCompose: whatever a message, an address and a host say, the report keeps its form.
func FuzzCompose(f *testing.F) {
	f.Add("Subject: =?utf-8?q?x=0Ay?=\nReferences: <a@b> <c\n\nx\n", "550 no", "b@x.example")
	f.Add("Bcc: x\nBcc\n : y\nDelivered-To: z\n\n--=_\n", "550-a\r\n550 b", "\"a b\"@x.example")
	f.Fuzz(func(t *testing.T, text, reply, to string) {
		if strings.IndexFunc(to, func(r rune) bool { return r < ' ' || r == 0x7f }) >= 0 || len(to) > 320 {
			return // the spool refuses it
		}
		text = strings.ReplaceAll(text, "\r", "")
		r := failedReport()
		r.Message = io.NewSectionReader(strings.NewReader(text), 0, int64(len(text)))
		r.Recipients = []Recipient{{Address: to, Err: errUnknown, RemoteMTA: "mx.x.example", Diagnostic: reply}}
		got, err := r.Compose()
		if err != nil {
			t.Fatal(err)
		}
		head, _, _ := bytes.Cut(got, []byte("\n\n"))
		for line := range bytes.Lines(head) {
			if name, _, ok := bytes.Cut(line, []byte(":")); line[0] != ' ' && (!ok || bytes.ContainsAny(name, " <")) {
				t.Fatalf("%q is no field", line)
			}
		}
		if bytes.ContainsAny(got, "\r") {
			t.Fatalf("%q", got)
		}
		wellFormed(t, got)
	})
}
