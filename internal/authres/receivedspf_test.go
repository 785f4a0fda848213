package authres

import (
	"net/mail"
	"net/netip"
	"strings"
	"testing"
)

// The field is as RFC 7208 9.1 has it, whatever strangers put into it.
func TestFormatSPF(t *testing.T) {
	usual := ReceivedSPF{Result: "pass", Why: "matched ip4", Receiver: "mx.example.net", Client: netip.MustParseAddr("192.0.2.7"),
		From: "bob@example.org", Helo: "mail.example.org", Identity: "mailfrom"}
	for _, c := range []struct {
		change func(*ReceivedSPF)
		want   string
	}{
		{func(*ReceivedSPF) {}, `pass (mx.example.net: matched ip4) receiver=mx.example.net; client-ip=192.0.2.7; ` +
			`envelope-from="bob@example.org"; helo=mail.example.org; identity=mailfrom;`},
		{func(r *ReceivedSPF) { r.From, r.Identity, r.Client = "", "helo", netip.MustParseAddr("2001:db8::1") },
			`pass (mx.example.net: matched ip4) receiver=mx.example.net; client-ip="2001:db8::1"; helo=mail.example.org; identity=helo;`},
		{func(r *ReceivedSPF) { r.From, r.Helo = `"a\" b; x=y"@example.org`, "[192.0.2.7]" },
			`pass (mx.example.net: matched ip4) receiver=mx.example.net; client-ip=192.0.2.7; ` +
				`envelope-from="\"a\\\" b; x=y\"@example.org"; helo="[192.0.2.7]"; identity=mailfrom;`},
		{func(r *ReceivedSPF) { r.Why, r.Result = "x) receiver=evil; (\r\nBcc: a", "fail\n" },
			`fail (mx.example.net: x] receiver:evil, [ Bcc: a) receiver=mx.example.net; client-ip=192.0.2.7; ` +
				`envelope-from="bob@example.org"; helo=mail.example.org; identity=mailfrom;`},
	} {
		r := usual
		c.change(&r)
		text := FormatSPF(r)
		m, err := mail.ReadMessage(strings.NewReader(text + "\n"))
		if err != nil || len(m.Header) != 1 {
			t.Fatalf("%q: %v", text, err)
		}
		if got := m.Header.Get("Received-SPF"); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
		for line := range strings.Lines(text) {
			if len(line) > 120 {
				t.Errorf("a line of %d octets: %q", len(line), line)
			}
		}
	}
}
