package sendmail

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/compose"
	"paperpath/internal/message"
	"paperpath/internal/status"
)

// inHand is a submission as the sendmail face makes it before it reads the message.
func inHand() *Submission {
	return &Submission{Host: "mx.example.net", Domain: "example.net", Now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC),
		Read: func(b compose.Body) (*message.Header, error) {
			return compose.Header(256<<10, 5000, b)
		},
		Identity: Identity{Author: compose.Author{Address: addr.Address{Local: "me", Domain: "example.net"}}}}
}

// completed returns the message as it goes into the spool.
func completed(m *Submission, in string) (string, error) {
	_, body, err := m.Complete(bytes.NewReader([]byte(in)))
	if err != nil {
		return "", err
	}
	out, err := io.ReadAll(io.NewSectionReader(body, 0, body.Size()))
	return string(out), err
}

func TestRecipientsFromTheHeader(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"all three", "To: a@x, B <bob>\nCc: c@x\nBcc: d@x\n\nb\n", "a@x bob@example.net c@x d@x"},
		{"each once", "To: a@x, A@X, <a@x>\nBcc: a@x\n\nb\n", "a@x"},
		{"resent", "Resent-To: r@x\nResent-Bcc: s@x\nTo: a@x\nBcc: b@x\n\nb\n", "r@x s@x"},
		{"none", "To: nobody:;\n\nb\n", "64"},
		{"no list", "To: all of you\n\nb\n", "65"},
	} {
		m := inHand()
		m.FromHeader = true
		got := ""
		if _, err := completed(m, c.in); err != nil {
			got = fmt.Sprint(status.Exit(err))
		} else {
			got = strings.Join(addresses(m), " ")
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	m := inHand()
	m.FromHeader = true
	m.Add([]addr.Address{{Local: "op"}})
	if _, err := completed(m, "To: a@x\n\nb\n"); err != nil || strings.Join(addresses(m), " ") != "op@example.net a@x" {
		t.Errorf("operands and -t: %v %v", m.To, err)
	}
}

func TestManyRecipientsInTheHeader(t *testing.T) {
	var to strings.Builder
	for i := range 4000 {
		fmt.Fprintf(&to, "user%d@example.org,\n ", i)
	}
	m := inHand()
	m.FromHeader = true
	if _, err := completed(m, "To: "+to.String()+"last@x\n\nb\n"); err != nil || len(m.To) != 4001 {
		t.Errorf("%d recipients: %v", len(m.To), err)
	}
}

// A hostile header costs no more than its size.
func TestManyFields(t *testing.T) {
	var in strings.Builder
	for i := range 5000 - 10 {
		fmt.Fprintf(&in, "%s: u%d\n", []string{"To", "Bcc", "Resent-Bcc", "Resent-To", "From"}[i%5], i)
	}
	begin := time.Now()
	m := inHand()
	m.FromHeader = true
	m.Add([]addr.Address{{Local: "x", Domain: "x"}})
	if _, err := completed(m, in.String()+"\nb\n"); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

// Results that claim to be ours do not get into the spool.
func TestCompleteDropsForgedResults(t *testing.T) {
	const rest = "From: me@example.net\nDate: d\nMessage-ID: <1@x>\n\nb\n"
	m := inHand()
	m.To = []Recipient{{Addr: "x@x"}}
	got, err := completed(m, "Authentication-Results: MX.example.net; dkim=pass\n"+rest)
	if got != rest || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestEnvelopes(t *testing.T) {
	for _, name := range []string{"USER", "LOGNAME", "EMAIL", "QMAILUSER", "QMAILHOST", "MAILUSER", "MAILHOST"} {
		t.Setenv(name, "") // whoever runs the tests is not the sender
	}
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
		m := inHand()
		got := ""
		if err := m.SetEnvelope(c.o, "me"); err != nil {
			got = fmt.Sprint(status.Exit(err))
		} else {
			for _, env := range m.Envelopes() {
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

// addresses are those of the recipients.
func addresses(m *Submission) (list []string) {
	for _, r := range m.To {
		list = append(list, r.Addr)
	}
	return list
}
