package dsn

import (
	"io"
	"strings"
	"testing"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/status"
)

var errUnknown = &status.Error{Exit: status.NoMailbox, Reply: 550, Enhanced: "5.1.1", Text: "no such mailbox"}

// failedReport is a report about one recipient who is unknown.
func failedReport() *Report {
	const text = "Received: by mx.example.net\n with ESMTPA id x\nMessage-ID: <1@example.org>\n\nhello\n"
	at := time.Date(2026, 11, 22, 20, 13, 0, 0, time.UTC)
	return &Report{Kind: Failed, Host: "mx.example.net", Key: "1764000000.M000000R0123456789abcdef.mx", Arrival: at, Now: at.Add(time.Hour),
		Sender: "alice@example.org", Recipients: []Recipient{{Address: "b@x.example", Err: errUnknown}},
		Message: io.NewSectionReader(strings.NewReader(text), 0, int64(len(text))), MaxReturned: 65536}
}

// TestKinds: what each kind of report says to people and to programs.
func TestKinds(t *testing.T) {
	waiting := status.Temp("4.4.1", "no answer", nil)
	for _, c := range []struct {
		kind  Kind
		err   error
		until time.Duration
		want  []string
	}{
		{Failed, errUnknown, 0, []string{"Subject: Your message could not be delivered\n", "Action: failed\nStatus: 5.1.1\n",
			"\n<b@x.example>\n    There is no mailbox with this address. Check the address", "    In detail: no such mailbox\n", "\n\nhello\n", "Diagnostic-Code: x-paperpath; no such mailbox\n"}},
		{Failed, &Expired{Lifetime: 120 * time.Hour, Cause: waiting}, 0, []string{"Action: failed\nStatus: 4.4.7\n",
			"\n    It could not be delivered for 5 days. At the last attempt:", "given up after 5 days: no answer\n"}},
		{Delayed, waiting, 120 * time.Hour, []string{"Subject: Your message is delayed\n", "Action: delayed\nStatus: 4.4.1\n",
			"Will-Retry-Until: Fri, 27 Nov 2026 20:13:00 +0000\n", "text/rfc822-headers"}},
		{Delayed, errUnknown, 0, []string{"Status: 4.0.0\n"}},
		{Delivered, nil, 0, []string{"Subject: Your message was delivered\n", "Action: delivered\nStatus: 2.0.0\n", "text/rfc822-headers"}},
		{Relayed, nil, 0, []string{"Action: relayed\nStatus: 2.0.0\n", "In-Reply-To: <1@example.org>\n"}},
	} {
		r := failedReport()
		r.Kind, r.Recipients[0].Err = c.kind, c.err
		if c.until > 0 {
			r.RetryUntil = r.Arrival.Add(c.until)
		}
		text, err := r.Compose()
		if err != nil {
			t.Errorf("%s: %v", c.kind, err)
		}
		for _, want := range c.want {
			if !strings.Contains(string(text), want) {
				t.Errorf("%s: no %q in\n%s", c.kind, want, text)
			}
		}
	}
}

// TestBoundary: a host that knows the key cannot end a part with its reply.
func TestBoundary(t *testing.T) {
	r := &Report{Key: "1764000000.M000000R0123456789abcdef.mx"}
	first := r.boundary(nil)
	if again := r.boundary([]part{{text: []byte("550 --" + first + "--\n")}}); again == first {
		t.Error("the boundary occurs in a part")
	}
	if r.boundary([]part{{text: []byte("550 no")}}) != first {
		t.Error("the boundary is not the same again")
	}
}

func FuzzReport(f *testing.F) {
	f.Add("550 no", "mx.x.example", "b@x.example")
	f.Add("550 a\nb\r\n\r\nc", "\x00", "\"a b\"@x.example")
	f.Fuzz(func(t *testing.T, reply, host, to string) {
		if strings.IndexFunc(to, func(r rune) bool { return r < ' ' || r == 0x7f }) >= 0 {
			return // the spool refuses it
		}
		r := failedReport()
		r.Recipients = []Recipient{{Address: to, Err: errUnknown, RemoteMTA: host, Diagnostic: reply}}
		for _, text := range []string{r.human(true), r.status()} {
			if strings.ContainsAny(text, "\x00\r\x1b") || strings.Count(text, "\n\n") > 8 {
				t.Fatalf("%q", text)
			}
		}
		if n := strings.Count(r.status(), "\n\n"); n != 1 {
			t.Fatalf("%d groups in\n%s", n+1, r.status())
		}
	})
}

func FuzzWrap(f *testing.F) {
	f.Add("a b c")
	f.Fuzz(func(t *testing.T, s string) {
		text := wrap("Name: ", " ", bounded(s))
		if !addr.IsASCII(text) || strings.Count(text, "\n ") != strings.Count(text, "\n")-1 {
			t.Fatalf("%q", text)
		}
		if got, want := strings.Fields(strings.TrimPrefix(text, "Name:")), strings.Fields(bounded(s)); strings.Join(got, "") != strings.Join(want, "") {
			t.Fatalf("%q became %q", want, got)
		}
	})
}

func TestFailureStatus(t *testing.T) {
	for code, want := range map[string]string{"5.1.1": "5.1.1", "5.123.0": "5.123.0", "4.1.1": "5.0.0", "": "5.0.0",
		"5.1": "5.0.0", "5.1.1.1": "5.0.0", "5.1.1\nAction: delivered": "5.0.0", "5.1.x": "5.0.0", "5..1": "5.0.0", "5.1234.1": "5.0.0"} {
		if got := FailureStatus(&status.Error{Exit: status.Unavailable, Reply: 550, Enhanced: code, Text: "no"}); got != want {
			t.Errorf("%q is %s, want %s", code, got, want)
		}
	}
}
