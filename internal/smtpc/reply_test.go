package smtpc

import (
	"bytes"
	"net"
	"strings"
	"testing"
	"time"
)

// deaf is a connection on which a stranger has already sent everything.
type deaf struct {
	net.Conn
	said *bytes.Reader
}

func (d deaf) Read(p []byte) (int, error)  { return d.said.Read(p) }
func (d deaf) Write(p []byte) (int, error) { return len(p), nil }
func (d deaf) Close() error                { return nil }
func (d deaf) SetDeadline(time.Time) error { return nil }

// FuzzReply: whatever a host sends, the result is one SMTP reply, printable and
// bounded, or an error that ends the session.
func FuzzReply(f *testing.F) {
	for _, s := range []string{"220 hello\r\n", "250-a\r\n250 b\r\n250 c\r\n", "250\n", "250-\r\n250-", "\xff\x00\r\n", "999 x\r\n",
		"250-a\r\n251 b\r\n", "550 \x1b[2J\xc3\xa4\r\n", strings.Repeat("250-x\r\n", 20000)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		c := newConn(deaf{said: bytes.NewReader(said)}, DefaultTimes(), time.Now().Add(time.Hour))
		r, err := c.reply(time.Hour, false, nil)
		if err != nil {
			if c.broken == nil || r.Code != 0 {
				t.Fatalf("%v, but broken is %v, reply %+v", err, c.broken, r)
			}
			return
		}
		if r.Code < 200 || r.Code > 599 || len(r.Text) > keptReply || len(r.Text) < 3 {
			t.Fatalf("%+v", r)
		}
		for _, b := range []byte(r.Text + r.Enhanced()) {
			if b < ' ' || b >= 0x7f {
				t.Fatalf("octet %#x in %q", b, r.Text)
			}
		}
	})
}

func TestEnhanced(t *testing.T) {
	for text, want := range map[string]string{
		"250 2.0.0 ok": "2.0.0", "550 5.1.1": "5.1.1", "550-5.1.1 a 550 5.1.2 b": "5.1.1", "550 4.1.1 odd": "5.0.0",
		"450 4.2.1 grey": "4.2.1", "550 nobody": "5.0.0", "421": "4.0.0", "354 go on": "4.0.0", "550 5.1.1234 x": "5.0.0", "550 5.1. x": "5.0.0",
	} {
		code := int(text[0]-'0')*100 + int(text[1]-'0')*10 + int(text[2]-'0')
		if got := (Reply{Code: code, Text: text}).Enhanced(); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}
