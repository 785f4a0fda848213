package relay

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

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
	m.sign = func(text io.Reader) ([]byte, error) {
		b, err := io.ReadAll(text)
		calls, seen = calls+1, string(b)
		return []byte("Signature: x\r\n"), err
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
	for name, sign := range map[string]func(io.Reader) ([]byte, error){
		"error":  func(io.Reader) ([]byte, error) { return nil, errors.New("no key") },
		"no end": func(io.Reader) ([]byte, error) { return []byte("Signature: x"), nil },
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
