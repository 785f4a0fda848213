package smtpd

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"paperpath/internal/status"
)

// trusting is a Session that takes the login alice from a front.
type trusting struct {
	*fake
	told *string
}

func (s trusting) Trust(_ context.Context, login string) error {
	if login != "alice" {
		return &status.Error{Exit: status.NotAllowed, Reply: 550, Enhanced: "5.7.1", Text: "who?"}
	}
	*s.told = login
	return nil
}

// converse plays lines against a server, a line "C: ..." or "S: ...", and
// returns its Conn as it was in the end.
func converse(t *testing.T, cfg Config, lines ...string) (*Conn, string, *fake) {
	t.Helper()
	cfg.Hostname = "mx.test"
	var sent, want []string
	for _, line := range lines {
		if text, ok := strings.CutPrefix(line, "C: "); ok {
			sent = append(sent, text+"\r\n")
		} else {
			want = append(want, strings.TrimPrefix(line, "S: "))
		}
	}
	conn := &script{pieces: [][]byte{[]byte(strings.Join(sent, ""))}}
	sess, told := &fake{}, ""
	var last *Conn
	Serve(t.Context(), conn, cfg, func(c *Conn) Session { last = c; sess.conn = c; return trusting{sess, &told} })
	got := strings.Split(strings.TrimSuffix(conn.out.String(), "\r\n"), "\r\n")
	if out := matched(want, got); !slices.Equal(out, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(out, "\n"), strings.Join(want, "\n"))
	}
	return last, told, sess
}

func TestXClient(t *testing.T) {
	offered := ehloAnswer(t, Config{Hostname: "mx.test"}, "XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT")
	lines := append([]string{"S: 220 mx.test ESMTP", "C: EHLO front"}, offered...)
	lines = append(lines,
		"C: XCLIENT NAME=mail.far.example ADDR=192.0.2.99 PORT=4711 PROTO=ESMTP HELO=spike.example LOGIN=[UNAVAILABLE] DESTADDR=198.51.100.1 DESTPORT=25",
		"S: 220 mx.test ESMTP",
		"C: MAIL FROM:<a@x.test>", // HELO was told
		"S: 250 2.1.0 sender accepted",
		"C: XCLIENT ADDR=192.0.2.100",
		"S: 503 5.5.1 not allowed during a mail transaction",
		"C: RSET", "S: 250 2.0.0 reset",
		"C: XCLIENT LOGIN=alice",
		"S: 220 mx.test ESMTP",
		"C: MAIL FROM:<a@x.test>",
		"S: 503 5.5.1 send EHLO or HELO first",
		"C: EHLO again")
	lines = append(append(lines, offered...), "C: QUIT", "S: 221 2.0.0 goodbye")
	c, told, sess := converse(t, Config{XClient: true}, lines...)
	if c.ClientIP() != "192.0.2.99" || c.ClientName() != "mail.far.example" || c.With() != "ESMTPA" || told != "alice" {
		t.Errorf("%s %s with %s, login %q", c.ClientIP(), c.ClientName(), c.With(), told)
	}
	if want := []string{"hello front", "hello spike.example", "mail a@x.test ", "hello again"}; !slices.Equal(sess.calls, want) {
		t.Errorf("calls %q", sess.calls)
	}
}

func TestXClientAttributes(t *testing.T) {
	for _, tt := range []struct{ arg, reply, ip, name, helo string }{
		{"ADDR=IPV6:2001:db8::1", "220", "2001:db8::1", "", ""},
		{"addr=ipv6:::ffff:192.0.2.1", "220", "192.0.2.1", "", ""},
		{"ADDR=[UNAVAILABLE] NAME=[TEMPUNAVAIL]", "220", "", "", ""},
		{"NAME=evil+0D+0Ax", "501", "192.0.2.7", "", ""},
		{"NAME=b+C3+B6se", "220", "192.0.2.7", "b??se", ""},
		{"HELO=a+20b PROTO=SMTP", "220", "192.0.2.7", "", "a?b"},
		{"ADDR=2001:db8::1", "501", "192.0.2.7", "", ""},
		{"ADDR=192.0.2", "501", "192.0.2.7", "", ""},
		{"ADDR=IPV6:fe80::1%eth0", "501", "192.0.2.7", "", ""},
		{"ADDR=", "501", "192.0.2.7", "", ""},
		{"ADDR", "501", "192.0.2.7", "", ""},
		{"", "501", "192.0.2.7", "", ""},
		{"PORT=65536", "501", "192.0.2.7", "", ""},
		{"PROTO=LMTP", "501", "192.0.2.7", "", ""},
		{"REVERSE_NAME=x", "220", "192.0.2.7", "", ""},
		{"TLS=x", "501", "192.0.2.7", "", ""},
		{"NAME=+2", "501", "192.0.2.7", "", ""},
		{"LOGIN=mallory", "550 5.7.1", "192.0.2.7", "", ""},
		{"HELO=unknown", "550 5.1.1", "192.0.2.7", "", ""},
		{"HELO=panic", "451", "192.0.2.7", "", ""},
	} {
		t.Run(tt.arg, func(t *testing.T) {
			c, _, _ := converse(t, Config{XClient: true}, "S: 220 mx.test ESMTP", "C: XCLIENT "+tt.arg, "S: "+tt.reply+"*")
			if c.ClientIP() != tt.ip || c.ClientName() != tt.name || c.helo != tt.helo || c.esmtp {
				t.Errorf("ip %q, name %q, helo %q, esmtp %v", c.ClientIP(), c.ClientName(), c.helo, c.esmtp)
			}
		})
	}
}

// Who is not listed is not offered it, and is refused.
func TestXClientNotListed(t *testing.T) {
	lines := append([]string{"S: 220 mx.test ESMTP", "C: EHLO x"}, ehloAnswer(t, Config{Hostname: "mx.test"})...)
	lines = append(lines, "C: XCLIENT ADDR=127.0.0.1", "S: 550 5.7.0 insufficient authorization")
	c, _, _ := converse(t, Config{}, lines...)
	if c.ClientIP() != "192.0.2.7" {
		t.Error(c.ClientIP())
	}
}

// What was private between the front and us is not for its client.
func TestXClientClearText(t *testing.T) {
	const login = "C: AUTH PLAIN AGFsaWNlAHNlY3JldA=="
	ehlo := func(more ...string) []string {
		more = append(more, "XCLIENT "+xclientAttributes)
		return append([]string{"C: EHLO x"}, ehloAnswer(t, Config{Hostname: "mx.test"}, more...)...)
	}
	for addr, want := range map[string]bool{"192.0.2.99": false, "[UNAVAILABLE]": false, "127.0.0.1": true} {
		lines := []string{"S: 220 mx.test ESMTP", "C: XCLIENT ADDR=" + addr, "S: 220 mx.test ESMTP"}
		if want {
			lines = append(append(lines, ehlo("AUTH PLAIN LOGIN")...), login, "S: 235 2.7.0*")
		} else {
			lines = append(append(lines, ehlo()...), login, "S: 538 5.7.11*")
		}
		converse(t, Config{XClient: true, Auth: true, AuthInClear: true}, lines...)
	}
}

func TestGreetPause(t *testing.T) {
	const pause = 3 * time.Second
	begin := func(t *testing.T) (*client, time.Time) {
		near, far := net.Pipe()
		c := newClient(t, near)
		go func() {
			c.end <- Serve(t.Context(), far, Config{Hostname: "mx.test", GreetPause: pause}, func(conn *Conn) Session { return c.sess })
		}()
		return c, time.Now()
	}
	for name, talk := range map[string]func(t *testing.T){
		"silent": func(t *testing.T) {
			c, start := begin(t)
			c.want("220 mx.test ESMTP")
			after(t, start, pause)
			c.send("QUIT")
			c.want("221")
			c.closed(nil)
		},
		"early": func(t *testing.T) {
			c, start := begin(t)
			time.Sleep(time.Second)
			c.send("EHLO bot", "MAIL FROM:<spam@x.test>")
			c.want("554 5.5.1 ")
			after(t, start, time.Second)
			c.closed(errEarly)
			if len(c.sess.calls) != 0 {
				t.Errorf("%q", c.sess.calls)
			}
		},
		"gone": func(t *testing.T) {
			c, _ := begin(t)
			c.conn.Close()
			if err := <-c.end; err == nil || errors.Is(err, errEarly) {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, talk) })
	}
}
