package relay

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"paperpath/internal/dkim"
	"paperpath/internal/dns"
	"paperpath/internal/status"
)

// without8BIT is a host without 8BITMIME.
func without8BIT(_ int, command string) string {
	if strings.HasPrefix(command, "EHLO") {
		return "250-peer.example\r\n250 SIZE"
	}
	return ""
}

// mailOf returns what the peer read behind MAIL FROM:<...>.
func mailOf(p *peer) string {
	_, commands, _ := p.seen()
	for _, c := range commands {
		if rest, ok := strings.CutPrefix(c, "MAIL FROM:<alice@example.net>"); ok {
			return rest
		}
	}
	return ""
}

// TestBody: BODY=8BITMIME is said to a host that offers it, and only about a text with
// octets beyond ASCII, wherever they are.
func TestBody(t *testing.T) {
	for _, c := range []struct {
		text  string
		reply func(int, string) string
		want  bool
	}{
		{"a: b\n\nplain\n", kind, false},
		{"a: b\n\n\xc3\xa4\n", kind, true},
		{"a: \xc3\xa4\n\nplain\n", kind, true},
		{"a: \xc3\xa4\n\nplain\n", without8BIT, false},
	} {
		l, p := newLab(t), newPeer(t, c.reply)
		l.route("elsewhere.example", p)
		if err := l.sendMessage(l.message(c.text, far))[0].Err; err != nil {
			t.Fatal(err)
		}
		if got := mailOf(p); strings.Contains(got, " BODY=8BITMIME") != c.want {
			t.Errorf("%q: MAIL %s", c.text, got)
		}
	}
}

// TestSigned: the fields of a signature come first and count in the size; they are made
// once, from the text that goes out.
func TestSigned(t *testing.T) {
	l, p := newLab(t), newPeer(t, func(n int, command string) string {
		if n == 1 && command == "DATA" { // so that the text goes to two hosts
			return "451 4.3.0 hm"
		}
		return ""
	})
	l.w.mx["elsewhere.example"] = []dns.MX{{Host: "a.example", Pref: 10}, {Host: "b.example", Pref: 20}}
	l.host("a.example", "192.0.2.1", p)
	l.host("b.example", "192.0.2.2", p)
	m := l.message(letter, far)
	calls, seen := 0, ""
	m.sign = func(text io.Reader) (dkim.Signed, error) {
		b, err := io.ReadAll(text)
		calls, seen = calls+1, string(b)
		return dkim.Signed{Fields: "Signature: x\r\n"}, err
	}
	if err := l.sendMessage(m)[0].Err; err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(letter, "\n", "\r\n")
	sessions, _, texts := p.seen()
	if len(texts) != 1 || !strings.HasPrefix(texts[0], "Signature: x\r\nReceived:") || seen != text || calls != 1 || sessions != 2 {
		t.Errorf("%d calls, %d sessions, signed %q, sent %q", calls, sessions, seen, texts)
	}
	if want := fmt.Sprintf(" SIZE=%d", len(text)+len("Signature: x\r\n")); mailOf(p) != want {
		t.Errorf("MAIL %s, want %s", mailOf(p), want)
	}
}

// TestNotSigned: a signature that cannot be made, or that would run into the text,
// defers the message; nothing is sent.
func TestNotSigned(t *testing.T) {
	for name, sign := range map[string]func(io.Reader) (dkim.Signed, error){
		"error":  func(io.Reader) (dkim.Signed, error) { return dkim.Signed{}, errors.New("no key") },
		"no end": func(io.Reader) (dkim.Signed, error) { return dkim.Signed{Fields: "Signature: x"}, nil },
	} {
		l, p := newLab(t), newPeer(t, kind)
		l.route("elsewhere.example", p)
		m := l.message(letter, far)
		m.sign = sign
		if err := l.sendMessage(m)[0].Err; !status.IsTemporary(err) || !strings.Contains(err.Error(), "sign the message") {
			t.Errorf("%s: %v", name, err)
		}
		if p.count("MAIL") != 0 {
			t.Errorf("%s: something was sent", name)
		}
	}
}

// TestConverted: 8-bit text for a host without 8BITMIME is converted, what cannot be
// converted goes to the next host or fails; the message itself stays as it is.
func TestConverted(t *testing.T) {
	const mime = "MIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n"
	long := strings.Repeat("long ", 200)
	broken := strings.Repeat(strings.Repeat("long ", 15)+"=\r\n", 13) + strings.Repeat("long ", 4) + "long=20\r\n"
	signature := "DKIM-Signature: v=1\n"
	signed := "Content-Type: multipart/signed; boundary=b\n\n--b\n\n\xe4\n--b--\n"
	for _, c := range []struct {
		name, text, want string
		reply            func(int, string) string
		fails            string
	}{
		{"8BITMIME", "a: b\n\n\xe4\n", "a: b\r\n\r\n\xe4\r\n", kind, ""},
		{"none", "a: b\n\n\xe4\n", "a: b\r\n" + mime + "Content-Type: text/plain; charset=unknown-8bit\r\n\r\n=E4\r\n", without8BIT, ""},
		{"none, HELO", "a: b\n\n\xe4\n", "a: b\r\n" + mime + "Content-Type: text/plain; charset=unknown-8bit\r\n\r\n=E4\r\n", always("EHLO", "500 what"), ""},
		{"none, in the header", "a: \xe4\n\nb\n", "a: \xe4\r\n\r\nb\r\n", without8BIT, ""},
		{"none, signed by DKIM", signature + "\n\xc3\xa4\n", "DKIM-Signature: v=1\r\n" + mime + "Content-Type: text/plain; charset=utf-8\r\n\r\n=C3=A4\r\n", without8BIT, ""},
		{"none, signed part", signed, "", without8BIT, "554 5.6.3 multipart/signed"},
		{"8BITMIME, signed part", signed, strings.ReplaceAll(signed, "\n", "\r\n"), kind, ""},
		{"long line", "a: b\n\n" + long + "\n", "a: b\r\n" + mime + "Content-Type: text/plain; charset=us-ascii\r\n\r\n" + broken, kind, ""},
		{"long line, signed by DKIM", signature + "\n" + long + "\n", "DKIM-Signature: v=1\r\n\r\n" + long + "\r\n", kind, ""},
		{"long line, signed by ARC", "ARC-Message-Signature: i=1\n\n" + long + "\n", "ARC-Message-Signature: i=1\r\n\r\n" + long + "\r\n", kind, ""},
	} {
		l, p := newLab(t), newPeer(t, c.reply)
		l.route("elsewhere.example", p)
		err := l.sendMessage(l.message(c.text, far))[0].Err
		_, _, texts := p.seen()
		switch {
		case c.fails != "":
			code, rest, _ := strings.Cut(c.fails, " ")
			enhanced, why, _ := strings.Cut(rest, " ")
			var e *status.Error
			if !errors.As(err, &e) || fmt.Sprint(e.Reply) != code || e.Enhanced != enhanced || !strings.Contains(err.Error(), why) || len(texts) > 0 {
				t.Errorf("%s: %v, %q", c.name, err, texts)
			}
		case err != nil || len(texts) != 1 || texts[0] != c.want+".\r\n":
			t.Errorf("%s: %v, sent %q, want %q", c.name, err, texts, c.want)
		}
		if size := fmt.Sprintf("SIZE=%d", len(c.want)); err == nil && c.name != "none, HELO" && !strings.Contains(mailOf(p), size) {
			t.Errorf("%s: MAIL %s, want %s", c.name, mailOf(p), size)
		}
	}
}

// TestNextWith8BIT: what cannot be converted goes to a host that need not have it
// converted.
func TestNextWith8BIT(t *testing.T) {
	l, first, second := newLab(t), newPeer(t, without8BIT), newPeer(t, kind)
	l.w.mx["elsewhere.example"] = []dns.MX{{Host: "a.example", Pref: 10}, {Host: "b.example", Pref: 20}}
	l.host("a.example", "192.0.2.1", first)
	l.host("b.example", "192.0.2.2", second)
	m := l.message("Content-Type: multipart/signed; boundary=b\n\n--b\n\n\xe4\n--b--\n", far)
	if err := l.sendMessage(m)[0].Err; err != nil || first.count("MAIL") != 0 || second.count("MAIL") != 1 {
		t.Errorf("%v, %d and %d messages", err, first.count("MAIL"), second.count("MAIL"))
	}
}

// TestSizeOfConverted: a host's limit is compared with the text that it gets.
func TestSizeOfConverted(t *testing.T) {
	text := "a: b\n\n" + strings.Repeat("\xc3\xa4", 500) + "\n" // 1,008 octets, 3,000 and more when converted
	for limit, want := range map[int]int{2000: 69, 5000: 0} {
		l, p := newLab(t), newPeer(t, always("EHLO", fmt.Sprintf("250-a\r\n250 SIZE %d", limit)))
		l.route("elsewhere.example", p)
		err := l.sendMessage(l.message(text, far))[0].Err
		if status.Exit(err) != want || want == 69 && status.Enhanced(err) != "5.3.4" {
			t.Errorf("SIZE %d: %v", limit, err)
		}
	}
}

// TestConvertedForLMTP: a host by LMTP gets 7 bits where it does not offer 8BITMIME, and
// what cannot be converted fails.
func TestConvertedForLMTP(t *testing.T) {
	for text, want := range map[string]string{
		"a: b\n\n\xe4\n": "",
		"Content-Type: multipart/signed; boundary=b\n\n--b\n\n\xe4\n--b--\n": "5.6.3",
	} {
		l, p := newLab(t), newPeer(t, always("LHLO", "250-peer.example\r\n250 SIZE"))
		l.lmtpRoute(p)
		err := l.sendMessage(l.message(text, far))[0].Err
		_, _, texts := p.seen()
		switch {
		case want != "" && (err == nil || status.Enhanced(err) != want || status.IsTemporary(err)):
			t.Errorf("%v, want %s", err, want)
		case want == "" && (err != nil || len(texts) != 1 || !strings.Contains(texts[0], "\r\n\r\n=E4\r\n")):
			t.Errorf("%v, sent %q", err, texts)
		}
	}
}

// TestConvertedThenSigned: our signature is that of the text which the host gets.
func TestConvertedThenSigned(t *testing.T) {
	keys := published{}
	l, p := newLab(t), newPeer(t, without8BIT)
	l.route("elsewhere.example", p)
	l.dkim("example.net", "s1", keys)
	m := l.message("From: alice@example.net\n\n\xc3\xa4 "+strings.Repeat("long ", 300)+"\n", far)
	m.Ours = true
	if err := l.sendMessage(m)[0].Err; err != nil {
		t.Fatal(err)
	}
	_, _, texts := p.seen()
	text := strings.TrimSuffix(texts[0], ".\r\n")
	got, err := dkim.Verifier{DNS: keys, Now: l.Now}.Verify(t.Context(), strings.NewReader(text))
	if err != nil || len(got) != 1 || got[0].Status != dkim.Pass || !strings.Contains(text, "\r\n=C3=A4 long") {
		t.Errorf("%+v, %v, %q", got, err, text)
	}
}
