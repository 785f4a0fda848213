package clients

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"paperpath/test/harness"
)

const identityHeader = "From: Bob <bob@example.net>\nTo: both@example.net\nSubject: =?utf-8?q?a?=\n\tfolded  line \n" +
	"Date: Mon, 23 Nov 2026 12:00:00 +0000\nMessage-ID: <identity@example.net>\nX-Odd:no blank\nX-Empty:\n"

// identity are bodies whose octets a mail system may be tempted to touch.
var identity = map[string]string{
	"8 bit":               "\nGrüße, \xff\xfe latin and not utf-8 at all \x80\n",
	"998 octets":          "\n" + strings.Repeat("x", 998) + "\n" + strings.Repeat("é", 499) + "\n",
	"dots":                "\n.\n..\n...\n.x\n. \n\n.\n",
	"a dot first":         "\n.first line of the body\n",
	"no last line end":    "\nthe last line is not ended",
	"a dot, not ended":    "\n.",
	"blanks at line ends": "\ntrailing \t \n \n\t\n\n\n\n",
	"From in the body":    "\nFrom here on\n>From there\n",
	"no body":             "",
	"control characters":  "\n\x01\x07\x1b[31m\x7f\v\f\b\n",
	"only blank lines":    "\n\n\n",
}

// A message's octets below our own trace lines are the same from SMTP or stdin
// to RETR and to the next host.
func TestIdentity(t *testing.T) {
	s, strict, tls := identitySite(t)
	n := 0
	for name, body := range identity {
		for way, send := range map[string]func([]byte) error{"smtp": s.sendSMTP, "stdin": s.sendStdin} {
			t.Run(way+" "+name, func(t *testing.T) {
				n++
				want := []byte(identityHeader + body)
				if err := send(want); err != nil {
					t.Fatal(err)
				}
				if !bytes.HasSuffix(want, []byte("\n")) {
					want = append(want, '\n')
				}
				s.t = t
				same(t, "RETR", s.fetchOne(), want)
				same(t, "the next host", nth(t, s, strict.Received, n), want)
				same(t, "the next host by TLS", nth(t, s, tls.Received, n), want)
			})
		}
	}
	for _, wrong := range strict.Wrong() {
		t.Error("at the next host:", wrong)
	}
}

// identitySite has an alias that leads to a mailbox and two other hosts.
func identitySite(t *testing.T) (*site, *harness.Sink, *harness.TLSSink) {
	t.Helper()
	s := newSite(t, "")
	strict, err := harness.NewSink("ok")
	if err != nil {
		t.Fatal(err)
	}
	tls, err := harness.NewTLSSink()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { strict.Close(); tls.Close() })
	for name, rows := range map[string][]string{
		"aliases": {"both: alice, far@strict.example, far@tls.example"},
		"routes":  {"strict.example: " + strict.Addr, "tls.example: " + tls.Addr},
	} {
		if err := s.Set(name, rows...); err != nil {
			t.Fatal(err)
		}
	}
	return s.start(), strict, tls
}

func (s *site) sendSMTP(message []byte) error {
	if !bytes.HasSuffix(message, []byte("\n")) {
		message = append(bytes.Clone(message), '\n') // the wire knows no line without an end
	}
	_, err := harness.SendMail(s.Addr["mx"], "carol@example.org", []string{"both@example.net"}, message)
	return err
}

func (s *site) sendStdin(message []byte) error {
	_, err := programs.Must(s.Home.Dir, bytes.NewReader(message), "sendmail", "-i", "-f", bob, "both@example.net")
	return err
}

// fetchOne fetches and deletes the one message that alice has, and checks
// that LIST told its size.
func (s *site) fetchOne() []byte {
	s.t.Helper()
	s.arrived("alice", 1)
	got, err := harness.Pop(s.Addr["pop3"], alice, harness.Password, true)
	if err != nil || len(got) != 1 {
		s.t.Fatalf("%d messages: %v", len(got), err)
	}
	if wire := len(got[0].Data) + bytes.Count(got[0].Data, []byte("\n")); wire != got[0].Octets {
		s.t.Errorf("LIST said %d octets, RETR gave %d", got[0].Octets, wire)
	}
	return got[0].Data
}

// nth waits for the nth message at a sink.
func nth(t *testing.T, s *site, received func() []harness.Received, n int) []byte {
	t.Helper()
	err := harness.Wait("the message at the next host", time.Minute, func() bool { return len(received()) >= n })
	if err != nil {
		t.Fatalf("%v\n%s", err, s.Describe())
	}
	data := received()[n-1].Data
	if !bytes.HasPrefix(data, []byte("Received:")) {
		t.Errorf("what leaves does not begin at our Received: %.200q", data)
	}
	return data
}

func same(t *testing.T, where string, got, want []byte) {
	t.Helper()
	if body := harness.Body(got); !bytes.Equal(body, want) {
		t.Errorf("%s:\n got %q\nwant %q", where, body, want)
	}
}
