package relay

import (
	"bufio"
	"bytes"
	"net"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
)

// deaf is a connection on which a stranger has already said everything.
type deaf struct {
	net.Conn
	said *bytes.Reader
}

func (d deaf) Read(p []byte) (int, error)  { return d.said.Read(p) }
func (d deaf) Write(p []byte) (int, error) { return len(p), nil }
func (d deaf) Close() error                { return nil }
func (d deaf) SetDeadline(time.Time) error { return nil }

// FuzzReply: whatever a host says, the client behind the wire sees one
// printable reply of SMTP that is no longer than the limit, or an error.
func FuzzReply(f *testing.F) {
	for _, s := range []string{"220 hello\r\n", "250-a\r\n250 b\r\n250 c\r\n", "250\n", "250-\r\n250-", "\xff\x00\r\n", "999 x\r\n",
		"250-a\r\n251 b\r\n", "550 \x1b[2J\xc3\xa4\r\n", strings.Repeat("250-x\r\n", 20000)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		w := newWire(deaf{said: bytes.NewReader(said)}, DefaultTimes(), time.Now().Add(time.Hour))
		code, text, err := textproto.NewReader(bufio.NewReader(w)).ReadResponse(0)
		if err != nil {
			if w.broken == nil {
				t.Fatalf("the client does not understand %q: %v", w.reply.text, err)
			}
			return
		}
		if code != w.reply.code || !w.replied || len(w.reply.text) > keptReply {
			t.Fatalf("code %d, wire %+v", code, w.reply)
		}
		for _, b := range []byte(strings.ReplaceAll(text, "\n", "") + w.reply.text) {
			if b < ' ' || b >= 0x7f {
				t.Fatalf("octet %#x in %q", b, text)
			}
		}
	})
}

// FuzzRcptOptions: what stands in an entry never makes go-smtp refuse a
// recipient before it is named to the host.
func FuzzRcptOptions(f *testing.F) {
	for _, s := range []string{"NOTIFY=NEVER", "NOTIFY=SUCCESS,SUCCESS", "NOTIFY=NEVER,DELAY", "ORCPT=rfc822;a+2Bb", "ORCPT=utf-8;x", "ORCPT=rfc822;+0D+0A", "x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, params string) {
		replies := "220 a\r\n250-a\r\n250 DSN\r\n250 ok\r\n250 ok\r\n"
		c := smtp.NewClient(deaf{said: bytes.NewReader([]byte(replies))})
		if err := c.Mail("a@b.example", nil); err != nil {
			t.Fatal(err)
		}
		if err := c.Rcpt("a@b.example", rcptOptions(params)); err != nil {
			t.Fatalf("%q: %v", params, err)
		}
	})
}
