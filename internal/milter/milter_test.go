package milter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-milter"
	"github.com/google/go-cmp/cmp"

	"paperpath/internal/status"
)

// A milter sees the whole session, in order, with all that is known.
func TestEverythingIsShown(t *testing.T) {
	m := (&scripted{}).start(t)
	r := converse(t.Context(), t, m)
	if r.err != nil || r.answer.Kind != Continue || r.changes.Text() {
		t.Fatalf("%+v", r)
	}
	want := []string{"Cmail.example.org|4\x9c@192.0.2.7|", "Hmail.example.org|",
		"M<a@example.org>|SIZE=100|BODY=8BITMIME|", "R<b@example.net>|NOTIFY=NEVER|",
		"LSubject| two\n words|", "LX-A|1|", "Lx-a|2|", "N", "E"}
	if diff := cmp.Diff(want, m.Saw()[:min(len(want), len(m.Saw()))]); diff != "" {
		t.Error(diff)
	}
	if got := m.Body(); got != "Hello\r\n.\r\n" {
		t.Errorf("body %q", got)
	}
	for code, want := range map[byte]string{
		'C': "j|mx.example.net|{daemon_name}|mx|{daemon_addr}|192.0.2.25|{daemon_port}|25|{if_addr}|192.0.2.25|" +
			"{if_name}|mx.example.net|v|Paperpath 1|_|mail.example.org [192.0.2.7]|{client_addr}|192.0.2.7|" +
			"{client_name}|mail.example.org|{client_ptr}|mail.example.org|{client_port}|40000|{client_resolve}|OK|",
		'H': "{helo}|mail.example.org|{tls_version}|TLSv1.3|{cipher}|TLS_AES_128_GCM_SHA256|{cipher_bits}|128|",
		'M': "i|KEY|{mail_addr}|a@example.org|{mail_host}|example.org|{mail_mailer}|smtp|",
		'R': "i|KEY|{rcpt_addr}|b@example.net|{rcpt_host}|example.net|{rcpt_mailer}|local|",
		'N': "i|KEY|",
		'E': "i|KEY|{nrcpts}|1|{nbadrcpts}|0|{msg_size}|" + fmt.Sprint(len(mail)) + "|",
	} {
		if got := m.Macros(code); got != want {
			t.Errorf("macros of %c: %s\nwant %s", code, got, want)
		}
	}
}

// A submitter of this machine looks like Postfix's: localhost. An IPv6 client is written
// as RFC 5321 has it.
func TestPeers(t *testing.T) {
	for _, c := range []struct {
		peer        Peer
		want, macro string
	}{
		{Peer{Host: "h"}, "Clocalhost|4||127.0.0.1|", "{client_name}|localhost|"},
		{Peer{Host: "h"}, "Clocalhost|4||127.0.0.1|", "{daemon_name}|h|"},
		{Peer{Host: "h", Client: netip.MustParseAddrPort("[2001:db8::1]:25"), PTR: "x.example"},
			"Cunknown|6|\x192001:db8::1|", "_|unknown [IPv6:2001:db8::1]|"},
		{Peer{Host: "h", Client: netip.MustParseAddrPort("[2001:db8::1]:25"), PTR: "x.example"},
			"Cunknown|6|\x192001:db8::1|", "{client_ptr}|x.example|"},
		{Peer{Client: netip.MustParseAddrPort("[2001:db8::1]:25"), PTR: "x.example"},
			"Cunknown|6|\x192001:db8::1|", "{client_resolve}|FORGED|"},
		{Peer{Client: netip.MustParseAddrPort("[::ffff:192.0.2.1]:25")}, "Cunknown|4|\x19192.0.2.1|", "{client_resolve}|FAIL|"},
	} {
		m := (&scripted{}).start(t)
		s, err := Dial(t.Context(), m.filter)
		if err != nil {
			t.Fatal(err)
		}
		if a, err := s.Hello(t.Context(), c.peer); err != nil || a.Kind != Continue {
			t.Fatal(a, err)
		}
		s.Close()
		if got := m.Saw()[0]; got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
		if got := m.Macros('C'); !strings.Contains("|"+got, "|"+c.macro) {
			t.Errorf("%q lacks %q", got, c.macro)
		}
	}
}

// TLS of a client with a certificate, and its login.
func TestMacrosOfSubmitters(t *testing.T) {
	g := Greeting{Name: "h", TLSVersion: "TLSv1.2", CertSubject: "bob", CertIssuer: "ca"}.macros()
	s := Sender{AuthType: "PLAIN", Login: "b@example.net", Author: "b\x00@example.net"}.macros()
	want := "{helo} h {tls_version} TLSv1.2 {cert_subject} bob {cert_issuer} ca " +
		"{auth_type} PLAIN {auth_authen} b@example.net {auth_author} b @example.net {mail_mailer} smtp"
	if got := strings.Join(append(g, s...), " "); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	r := Recipient{Addr: "b@example.com"}.macros("")
	if got := strings.Join(r, " "); got != "{rcpt_addr} b@example.com {rcpt_host} example.com {rcpt_mailer} smtp" {
		t.Error(got)
	}
}

// Every answer at every stage.
func TestEveryAnswer(t *testing.T) {
	stages := map[byte]Stage{'C': AtConnect, 'H': AtHelo, 'M': AtSender, 'R': AtRecipient, 'L': AtHeader,
		'N': AtHeaderEnd, 'B': AtBody, 'E': AtEnd}
	for code, at := range stages {
		for _, c := range []struct {
			packet []byte
			want   Answer
			reply  string
		}{
			{packet('a'), Answer{Kind: Accept}, ""},
			{packet('r'), Answer{Kind: Reject}, "550 5.7.1 refused by a filter"},
			{packet('t'), Answer{Kind: TempFail}, "451 4.7.1 a filter asks to try again later"},
			{packet('d'), Answer{Kind: Discard}, ""},
			{packet('4'), Answer{Kind: Shutdown}, "421 4.7.0 closing the connection"},
			{packet('y', "550 5.7.9 100%% spam\x00"), Answer{Reply, 550, "5.7.9", "100% spam"}, "550 5.7.9 100% spam"},
			{packet('y', "421 4.3.2 bye\x00"), Answer{Reply, 421, "4.3.2", "bye"}, "421 4.3.2 bye"},
			{packets(packet('p'), packet('p'), packet('r')), Answer{Kind: Reject}, "550 5.7.1 refused by a filter"},
		} {
			m := (&scripted{answers: map[byte][]byte{code: c.packet}}).start(t)
			r := converse(t.Context(), t, m)
			if r.err != nil || r.answer != c.want || min(at, AtEnd) != at || (at < AtHeader && r.at != at) {
				t.Errorf("%q at %s: %+v, %v", c.packet, at, r, r.err)
				continue
			}
			if err := r.answer.Err(); c.reply == "" && err != nil {
				t.Errorf("%q at %s: %v", c.packet, at, err)
			} else if c.reply != "" {
				code, enhanced, text := status.Reply(err)
				if got := fmt.Sprintf("%d %s %s", code, enhanced, text); got != c.reply {
					t.Errorf("%q at %s: %s, want %s", c.packet, at, got, c.reply)
				}
				if temporary := code < 500; status.IsTemporary(err) != temporary {
					t.Errorf("%q: exit status %d", c.packet, status.Exit(err))
				}
			}
		}
	}
}

// Death at every stage, in every form, is an error that names filter and stage, and comes
// in time.
func TestEveryDeath(t *testing.T) {
	long := strings.Repeat("x", maxPacket+1)
	for code, at := range map[byte]Stage{'O': AtConnect, 'C': AtConnect, 'H': AtHelo, 'M': AtSender, 'R': AtRecipient,
		'L': AtHeader, 'N': AtHeaderEnd, 'B': AtBody, 'E': AtEnd} {
		for _, c := range []struct {
			name   string
			answer []byte // nil: it hangs up
			want   string
		}{
			{"close", nil, "the filter closed the connection"},
			{"half a packet", []byte{0, 0, 0, 9, 'c'}, "i/o timeout"},
			{"silence", silence, "i/o timeout"},
			{"progress without end", packets(packet('p'), packet('p')), "i/o timeout"},
			{"garbage", []byte("HTTP/1.1 400 Bad Request\r\n\r\n"), "a packet of 1213486159 octets"},
			{"nothing", []byte{0, 0, 0, 0, 0}, "a packet of 0 octets"},
			{"oversized", packet('c', long), "a packet of"},
			{"unknown", packet('?'), "unexpected code"},
			{"connection failure", packet('f'), "the filter reports a failed connection"},
			{"a change out of place", packet('h', "X\x00y\x00"), "unexpected code"},
			{"half a reply", packet('y', "550"), "unexpected"},
			{"no reply code", packet('y', "abc no\x00"), "unexpected"},
		} {
			if code == 'O' && (c.name == "unknown" || strings.Contains(c.name, "reply") || c.name == "a change out of place") {
				c.want = "unexpected code"
			}
			if code == 'E' && c.name == "a change out of place" {
				c.want = "i/o timeout" // it is in place, and no answer follows
			}
			if c.name == "half a reply" || c.name == "no reply code" {
				c.want = "action read: "
				if code == 'O' {
					c.want = "unexpected code"
				}
			}
			t.Run(string(code)+" "+c.name, func(t *testing.T) {
				t.Parallel()
				m := (&scripted{answers: map[byte][]byte{}}).start(t)
				if c.answer == nil {
					m.HangUp = code
				} else {
					m.Answers[code] = c.answer
				}
				var r result
				var away *Away
				// A machine that is busy takes longer for what comes before.
				for _, wait := range []time.Duration{100 * time.Millisecond, 2 * time.Second, 10 * time.Second} {
					m.filter.Read, m.filter.End = wait, wait
					if r = converse(t.Context(), t, m); errors.As(r.err, &away) && away.Stage == at {
						break
					}
				}
				if away == nil || away.Stage != at || away.Filter != "test" || !strings.Contains(r.err.Error(), c.want) {
					t.Errorf("%v, want %q at %s", r.err, c.want, at)
				}
				if r.changes != nil && r.changes.Text() {
					t.Error("something is changed")
				}
			})
		}
	}
}

// A milter that cannot be reached.
func TestNotThere(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "x"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, f := range []Filter{
		{Name: "gone", Network: "unix", Address: "/nonexistent/milter"},
		{Name: "gone", Network: "tcp", Address: "127.0.0.1:1", Connect: time.Second},
		{Name: "gone", Network: "unix", Address: l.Addr().String(), Read: 50 * time.Millisecond, Send: time.Second}, // nobody accepts
	} {
		_, err := Dial(t.Context(), f)
		var away *Away
		if !errors.As(err, &away) || away.Stage != AtConnect || !strings.HasPrefix(err.Error(), "filter gone gives no answer at connect: ") {
			t.Errorf("%v", err)
		}
	}
}

// Progress does not prolong an answer for ever, and a cancelled context ends it at once.
func TestTimeIsBounded(t *testing.T) {
	m := (&scripted{}).start(t)
	m.filter.Read, m.filter.End = 200*time.Millisecond, 300*time.Millisecond
	s, err := Dial(t.Context(), m.filter)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	client, server := net.Pipe()
	s.guard.Conn.Close()
	s.guard.Conn = client
	var both sync.WaitGroup
	both.Go(func() { io.Copy(io.Discard, server) })
	both.Go(func() {
		for err := error(nil); err == nil; time.Sleep(20 * time.Millisecond) {
			_, err = server.Write(packet('p'))
		}
	})
	start := time.Now()
	_, err = s.Helo(t.Context(), greeting)
	if took := time.Since(start); err == nil || took < 250*time.Millisecond || took > 5*time.Second {
		t.Errorf("%v after %s", err, took)
	}
	server.Close()
	both.Wait()

	m = (&scripted{answers: map[byte][]byte{'M': silence}}).start(t)
	m.filter.Read, m.filter.End = time.Minute, time.Minute
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if r := converse(ctx, t, m); !errors.Is(r.err, context.DeadlineExceeded) {
		t.Errorf("%v", r.err)
	}
}

// What a milter does not want to see it is not shown, and what it does not answer is not
// waited for.
func TestNegotiation(t *testing.T) {
	all := uint32(actions)
	for _, c := range []struct {
		name    string
		options []byte
		answers map[byte][]byte
		want    string // commands that it sees
	}{
		{"everything", words(6, all, 0), nil, "C H M R L L L N B E"},
		{"nothing", words(6, all, 0x7f), nil, "E"},
		{"no body", words(6, all, uint32(milter.OptNoBody)), nil, "C H M R L L L N E"},
		{"no answers", words(6, all, 0xff080|uint32(milter.OptSkip)), map[byte][]byte{'C': silence, 'H': silence,
			'M': silence, 'R': silence, 'L': silence, 'N': silence, 'B': silence}, "C H M R L L L N B E"},
		{"version 2", words(2, 0x3f, 0x7f&^uint32(milter.OptNoHelo)), nil, "H E"},
		{"version 7", words(7, all, 0x7f), nil, "E"},
		{"a list of macros follows", append(words(6, all, 0x7f), "\x00\x00\x00\x00i j\x00"...), nil, "E"},
		{"actions that were not offered", words(6, 1<<8, 0), nil, "it wants actions that were not offered (0x100)"},
		{"a protocol that was not offered", words(6, all, uint32(milter.OptRcptRej)), nil, "it wants a protocol that was not offered (0x800)"},
		{"version 1", words(1, 0, 0), nil, "unsupported milter version"},
		{"short", []byte("short"), nil, "unexpected data size: 5"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := (&scripted{options: c.options, answers: c.answers}).start(t)
			r := converse(t.Context(), t, m)
			if r.err != nil {
				if !strings.Contains(r.err.Error(), c.want) {
					t.Errorf("%v, want %s", r.err, c.want)
				}
				return
			}
			var got []string
			for _, s := range m.Saw() {
				if s[0] == 'E' && m.Body() != "" {
					got = append(got, "B")
				}
				if s[0] != 'A' && s[0] != 'Q' {
					got = append(got, s[:1])
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// With SMFIP_HDR_LEADSPC values go both ways octet for octet, as simple canonicalization
// of DKIM needs it.
func TestLeadingSpace(t *testing.T) {
	m := (&scripted{options: words(6, uint32(actions), uint32(milter.OptHeaderLeadingSpace)),
		answers: map[byte][]byte{'E': packets(packet('i', "\x00\x00\x00\x01", "A\x00  x\x00"), packet('h', "B\x00y\x00"), packet('c'))}}).start(t)
	r := converse(t.Context(), t, m)
	if r.err != nil {
		t.Fatal(r.err)
	}
	if got := m.Saw()[4:7]; !slices.Equal(got, []string{"LSubject|  two\n words|", "LX-A| 1|", "Lx-a|2|"}) {
		t.Errorf("%q", got)
	}
	if body, err := r.changes.Apply(textOf(t, mail)); err != nil || read(t, body) != "A:  x\nB:y\n"+mail {
		t.Errorf("%v %q", err, read(t, body))
	}
}

// After SMFIR_SKIP no more of the body is sent, and the verdict comes.
func TestSkip(t *testing.T) {
	m := (&scripted{answers: map[byte][]byte{'B': packet('s'), 'E': packet('r')}}).start(t)
	s, err := Dial(t.Context(), m.filter)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Sender(t.Context(), sender); err != nil {
		t.Fatal(err)
	}
	_, a, err := s.Message(t.Context(), textOf(t, "A: b\n\n"+strings.Repeat("line\n", 100000)))
	if err != nil || a.Kind != Reject || len(m.Body()) != maxData {
		t.Errorf("%+v %v, %d octets", a, err, len(m.Body()))
	}
	m = (&scripted{answers: map[byte][]byte{'E': packet('s')}}).start(t)
	if r := converse(t.Context(), t, m); r.err == nil {
		t.Errorf("skip at the end: %+v", r)
	}
}

// A session goes on after a message; what was decided about one holds for that alone, and
// what was decided about the session for all of it.
func TestSeveralMessages(t *testing.T) {
	m := (&scripted{answers: map[byte][]byte{'M': packet('d')}}).start(t)
	s, err := Dial(t.Context(), m.filter)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 2 {
		for name, ask := range map[string]func() (Answer, error){
			"mail": func() (Answer, error) { return s.Sender(t.Context(), sender) },
			"rcpt": func() (Answer, error) { return s.Recipient(t.Context(), recipient) },
		} {
			if name == "rcpt" {
				continue
			}
			if a, err := ask(); err != nil || a.Kind != Discard {
				t.Fatalf("%s: %v %v", name, a, err)
			}
		}
		if a, err := s.Recipient(t.Context(), recipient); err != nil || a.Kind != Discard {
			t.Fatal(a, err)
		}
		if _, a, err := s.Message(t.Context(), textOf(t, mail)); err != nil || a.Kind != Discard {
			t.Fatal(a, err)
		}
	}
	if got := m.Saw(); len(got) != 2 {
		t.Errorf("%q", got)
	}

	m = (&scripted{answers: map[byte][]byte{'H': packet('a')}}).start(t)
	if r := converse(t.Context(), t, m); r.err != nil || r.answer.Kind != Accept {
		t.Fatal(r)
	}
	s, err = Dial(t.Context(), m.filter)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if a, err := s.Helo(t.Context(), greeting); err != nil || a.Kind != Accept {
		t.Fatal(a, err)
	}
	before := len(m.Saw())
	if a, err := s.Sender(t.Context(), sender); err != nil || a.Kind != Continue {
		t.Fatal(a, err)
	}
	if c, a, err := s.Message(t.Context(), textOf(t, mail)); err != nil || a.Kind != Continue || c.Text() {
		t.Fatal(a, err)
	}
	if got := m.Saw(); len(got) != before {
		t.Errorf("%q", got)
	}
}

// A message that comes to no end is aborted, and the next one begins anew.
func TestAbort(t *testing.T) {
	m := (&scripted{}).start(t)
	s, err := Dial(t.Context(), m.filter)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := s.Sender(t.Context(), sender); err != nil {
			t.Fatal(err)
		}
		if err := s.Abort(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Abort(t.Context()); err != nil { // nothing to abort
		t.Fatal(err)
	}
	if _, _, err := s.Message(t.Context(), textOf(t, mail)); err != nil {
		t.Fatal(err)
	}
	s.Close()
	got := strings.Join(m.Saw()[:4], " ")
	if got != "M<a@example.org>|SIZE=100|BODY=8BITMIME| A M<a@example.org>|SIZE=100|BODY=8BITMIME| A" {
		t.Errorf("%q", got)
	}
}

// Refused recipients are counted, and do not end the message.
func TestRefusedRecipient(t *testing.T) {
	m := (&scripted{answers: map[byte][]byte{'R': packet('r')}}).start(t)
	s, err := Dial(t.Context(), m.filter)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Sender(t.Context(), sender); err != nil {
		t.Fatal(err)
	}
	if a, err := s.Recipient(t.Context(), recipient); err != nil || a.Kind != Reject {
		t.Fatal(a, err)
	}
	m.Script(nil)
	if a, err := s.Recipient(t.Context(), recipient); err != nil || a.Kind != Continue {
		t.Fatal(a, err)
	}
	if _, a, err := s.Message(t.Context(), textOf(t, mail)); err != nil || a.Kind != Continue {
		t.Fatal(a, err)
	}
	if got := m.Macros('E'); !strings.Contains(got, "{nrcpts}|1|{nbadrcpts}|1|") {
		t.Error(got)
	}
}

// The text of a reply is one that our own client may get.
func TestReplies(t *testing.T) {
	for _, c := range []struct {
		code     int
		text     string
		enhanced string
		want     string
	}{
		{550, "5.7.1 no", "5.7.1", "no"},
		{550, "no", "5.7.1", "no"},
		{451, "no", "4.7.1", "no"},
		{550, "4.7.1 no", "5.7.1", "4.7.1 no"},
		{550, "5.7.1 one\r\n550-5.7.1 two\r\n550 5.7.1 three", "5.7.1", "one\ntwo\nthree"},
		{550, "one\n250 OK", "5.7.1", "one\n250 OK"},
		{550, "tab\tand\x1b[31mescape \xff", "5.7.1", `tab and\x1b[31mescape \xff`},
		{550, "", "5.7.1", "refused by a filter"},
		{550, "5.7.1 ", "5.7.1", "refused by a filter"},
		{550, "100%% 5%", "5.7.1", "100% 5%"},
		{550, "r\rs", "5.7.1", "r s"},
	} {
		a, err := replyOf(c.code, c.text)
		if err != nil || a.Code != c.code || a.Enhanced != c.enhanced || a.Text != c.want {
			t.Errorf("%q: %+v %v", c.text, a, err)
		}
	}
	for _, code := range []int{-1, 0, 250, 354, 399, 600} {
		if a, err := replyOf(code, "x"); err == nil {
			t.Errorf("%d: %+v", code, a)
		}
	}
	a, err := replyOf(550, strings.Repeat(strings.Repeat("x", 5000)+"\n", 500))
	if lines := strings.Split(a.Text, "\n"); err != nil || len(lines) != maxReplyLines || len(lines[0]) > maxReplyLine {
		t.Errorf("%d lines of %d octets: %v", len(lines), len(lines[0]), err)
	}
}

// libmilter reads at most 64 KiB at once: a longer field is cut, a longer body is sent in
// parts.
func TestPacketsFit(t *testing.T) {
	m := (&scripted{}).start(t)
	s, err := Dial(t.Context(), m.filter)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Sender(t.Context(), sender); err != nil {
		t.Fatal(err)
	}
	body := strings.Repeat("0123456789\n", 20000)
	text := textOf(t, "Long: "+strings.Repeat("x", 100000)+"\n\n"+body)
	if _, a, err := s.Message(t.Context(), text); err != nil || a.Kind != Continue {
		t.Fatal(a, err)
	}
	if got := len(m.Saw()[1]) - 1; got != maxData {
		t.Errorf("a field of %d octets", got)
	}
	if m.Body() != strings.ReplaceAll(body, "\n", "\r\n") {
		t.Errorf("%d octets of body", len(m.Body()))
	}
}
