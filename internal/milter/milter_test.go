package milter

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-milter"
	"github.com/google/go-cmp/cmp"
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
		s := m.dial(t)
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
	s := m.begin(t)
	_, a, err := s.Message(t.Context(), textOf(t, "A: b\n\n"+strings.Repeat("line\n", 100000)))
	if err != nil || a.Kind != Reject || len(m.Body()) != maxData {
		t.Errorf("%+v %v, %d octets", a, err, len(m.Body()))
	}
	m = (&scripted{answers: map[byte][]byte{'E': packet('s')}}).start(t)
	if r := converse(t.Context(), t, m); r.err == nil {
		t.Errorf("skip at the end: %+v", r)
	}
}

// libmilter reads at most 64 KiB at once: a longer field is cut, a longer body is sent in
// parts.
func TestPacketsFit(t *testing.T) {
	m := (&scripted{}).start(t)
	s := m.begin(t)
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
