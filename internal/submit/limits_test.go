package submit

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/auth"
	"paperpath/internal/home"
	"paperpath/internal/listen"
	"paperpath/internal/smtpd"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// set writes a control file that has been still for an hour.
func set(t *testing.T, h *home.Home, name, text string) {
	t.Helper()
	path := filepath.Join(h.Dir, "control", name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	os.Chtimes(path, old, old)
}

func wantLog(t *testing.T, log fmt.Stringer, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(log.String(), w) {
			t.Errorf("the log lacks %q:\n%s", w, log)
		}
	}
}

// far begins a dialogue as a client of another network, through a front.
func far(dialogue ...string) []string {
	return append([]string{"XCLIENT ADDR=192.0.2.7 NAME=mail.far.example", "220 ", "EHLO mail.far.example", "250 "}, dialogue...)
}

const loginAlice = "AUTH PLAIN AGFsaWNlQGV4YW1wbGUubmV0AHNlY3JldA=="

func TestRatesByAddress(t *testing.T) {
	h, log := newHome(t)
	set(t, h, "xclientfrom", "127.0.0.0/8\n")
	set(t, h, "rates", "client-messages: 3/1h\nclient-recipients: 4/1h\n")
	talk(t, h, MX, far("MAIL FROM:<x@far.example>", "250 ", "RCPT TO:<alice@example.net>", "250 ",
		"RCPT TO:<nobody@example.net>", "550 ", // counts for nothing
		"RCPT TO:<bob@example.net>", "250 ", "RCPT TO:<alice+1@example.net>", "250 ", "RSET", "250 ",
		"MAIL FROM:<x@far.example>", "250 ")...)
	talk(t, h, MX, far("MAIL FROM:<x@far.example>", "250 ", "RCPT TO:<bob@example.net>", "250 ",
		"RCPT TO:<alice@example.net>", "450 4.7.1", "RSET", "250 ", "MAIL FROM:<x@far.example>", "450 4.7.1")...)
	// Another address, and this machine.
	talk(t, h, MX, "XCLIENT ADDR=192.0.2.8", "220 ", "EHLO x", "250 ", "MAIL FROM:<x@far.example>", "250 ")
	talk(t, h, MX, "EHLO x", "250 ", "MAIL FROM:<x@far.example>", "250 ", "RSET", "250 ", "MAIL FROM:<x@far.example>", "250 ",
		"RSET", "250 ", "MAIL FROM:<x@far.example>", "250 ", "RSET", "250 ", "MAIL FROM:<x@far.example>", "250 ")
	set(t, h, "relayfrom", "192.0.2.7\n")
	talk(t, h, MX, far("MAIL FROM:<x@far.example>", "250 ")...)
	wantLog(t, log, "event=limited key=- limit=client-messages client=192.0.2.7 helo=mail.far.example\n", "limit=client-recipients client=192.0.2.7",
		"event=refused", "450 4.7.1 too many messages lately")
}

func TestRatesByUser(t *testing.T) {
	h, log := newHome(t)
	set(t, h, "rates", "user-messages: 2/1h\nuser-recipients: 1/1h\n")
	talk(t, h, Submission, "EHLO x", "250 ", loginAlice, "235 ", "MAIL FROM:<alice@example.net>", "250 ",
		"RCPT TO:<bob@example.net>", "250 ", "RCPT TO:<alice@example.net>", "450 4.7.1", "RSET", "250 ", "MAIL FROM:<alice@example.net>", "250 ")
	talk(t, h, Submission, "EHLO x", "250 ", loginAlice, "235 ", "MAIL FROM:<alice@example.net>", "450 4.7.1")
	wantLog(t, log, "event=limited key=- limit=user-messages client=127.0.0.1 helo=x login=alice@example.net\n", "limit=user-recipients")
}

// A flood of strangers does not push users out of the table.
func TestFloodForgetsNoUser(t *testing.T) {
	h, _ := newHome(t)
	set(t, h, "rates", "user-messages: 2/1d\nclient-messages: 1/1d\n")
	for i, want := range []bool{false, false, true} {
		if got := h.TooMany(h.Control, "user-messages", "alice@example.net", 1); got != want {
			t.Errorf("message %d: %v", i, got)
		}
	}
	for i := range 40000 {
		h.TooMany(h.Control, "client-messages", fmt.Sprint("stranger ", i), 1)
	}
	if !h.TooMany(h.Control, "user-messages", "alice@example.net", 1) {
		t.Error("after a flood alice may send again")
	}
}

// If nothing can be counted mail is still accepted.
func TestRatesUncounted(t *testing.T) {
	h, log := newHome(t)
	set(t, h, "xclientfrom", "127.0.0.0/8\n")
	set(t, h, "rates", "client-messages: 1/1h\n")
	os.Remove(filepath.Join(h.Dir, "run"))
	talk(t, h, MX, far("MAIL FROM:<x@far.example>", "250 ", "RSET", "250 ", "MAIL FROM:<x@far.example>", "250 ")...)
	wantLog(t, log, `event=trouble key=- op="count client-messages"`)
}

func TestTarpit(t *testing.T) {
	h, log := newHome(t)
	set(t, h, "xclientfrom", "127.0.0.0/8\n")
	set(t, h, "limits", "unknown: 3\n")
	s, err := newServer(h, MX)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, client string
		want         []time.Duration
	}{
		{"loopback", "127.0.0.1", nil},
		{"far", "192.0.2.7", []time.Duration{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 10}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var waits []time.Duration
			s.wait = func(_ context.Context, d time.Duration) { waits = append(waits, d/time.Second) }
			dialogue := []string{"XCLIENT ADDR=" + tt.client, "220 ", "EHLO x", "250 ", "MAIL FROM:<x@far.example>", "250 ", "RCPT TO:<bob@example.net>", "250 "}
			for i := range 15 {
				dialogue = append(dialogue, fmt.Sprintf("RCPT TO:<nobody%d@example.net>", i), "550 5.1.1")
			}
			talkTo(t, s, append(dialogue, "RCPT TO:<alice@example.net>", "250 ")...)
			if fmt.Sprint(waits) != fmt.Sprint(tt.want) {
				t.Errorf("waits %v, want %v", waits, tt.want)
			}
		})
	}
	if n := strings.Count(log.String(), "event=limited key=- limit=unknown client=192.0.2.7"); n != 1 {
		t.Errorf("%d events:\n%s", n, log)
	}
}

// Junk and errors end a session at the limits in control/.
func TestLimitsOfASession(t *testing.T) {
	h, log := newHome(t)
	set(t, h, "limits", "junk: 3\nerrors: 2\nsession: 100000\nrecipients: 1\n")
	talk(t, h, MX, "NOOP", "250 ", "NOOP", "250 ", "NOOP", "250 ", "NOOP", "250 ")
	talk(t, h, MX, "WHAT", "500 ", "WHAT", "500 ")
	talk(t, h, MX, "EHLO x", "250 ", "MAIL FROM:<x@far.example>", "250 ", "RCPT TO:<bob@example.net>", "250 ", "RCPT TO:<alice@example.net>", "452 4.5.3")
	wantLog(t, log, "too many commands without mail", "too many errors")
	s, err := newServer(h, MX)
	if err != nil {
		t.Fatal(err)
	}
	var cfg smtpd.Config
	if err := s.limits(&cfg); err != nil || cfg.SessionLimit != 24*time.Hour {
		t.Errorf("%v, %v", cfg.SessionLimit, err)
	}
}

// A session looks a recipient up once, for it may have very many targets.
func TestARecipientIsLookedUpOnce(t *testing.T) {
	h, _ := newHome(t)
	srv, err := newServer(h, MX)
	if err != nil {
		t.Fatal(err)
	}
	info := addr.Address{Local: "info", Domain: "example.net"}
	sess := session{server: srv, Users: auth.Users{Control: srv.control.View(time.Hour)}}
	if _, err := sess.resolve(info); err != nil {
		t.Fatal(err)
	}
	set(t, h, "aliases", "other: bob\n")
	if _, err := sess.resolve(info); err != nil {
		t.Errorf("the same session: %v", err)
	}
	next := session{server: srv, Users: auth.Users{Control: srv.control.View(time.Hour)}}
	if _, err := next.resolve(info); status.Exit(err) != status.NoMailbox {
		t.Errorf("the next one: %v", err)
	}
}

// from is a connection of a remote client.
type from struct {
	net.Conn
	ip string
}

func (c from) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.ParseIP(c.ip), Port: 9} }

func TestWhoWaitsForTheGreeting(t *testing.T) {
	h, _ := newHome(t)
	set(t, h, "greetpause", "7s\n")
	set(t, h, "relayfrom", "192.0.2.0/24\n")
	set(t, h, "xclientfrom", "192.0.2.1\n")
	for _, tt := range []struct {
		role      Role
		listening bool
		ip        string
		want      time.Duration
		xclient   bool
	}{
		{MX, true, "198.51.100.7", 7 * time.Second, false}, {MX, true, "127.0.0.1", 0, false}, {MX, true, "192.0.2.1", 0, true},
		{MX, false, "198.51.100.7", 0, false}, {Submission, true, "198.51.100.7", 0, false},
	} {
		s, err := newServer(h, tt.role)
		if err != nil {
			t.Fatal(err)
		}
		cfg, err := s.config(&home.Client{Conn: from{ip: tt.ip}, Listening: tt.listening})
		if err != nil || cfg.GreetPause != tt.want || cfg.XClient != tt.xclient {
			t.Errorf("%+v: %v, XCLIENT %v, %v", tt, cfg.GreetPause, cfg.XClient, err)
		}
	}
}

// A login of XCLIENT is valid, and a client that XCLIENT names does not inherit the
// RELAYCLIENT of a wrapper.
func TestXClientOfAUser(t *testing.T) {
	h, log := newHome(t)
	set(t, h, "xclientfrom", "127.0.0.1\n")
	talk(t, h, Submission, "XCLIENT ADDR=192.0.2.7 LOGIN=nobody@example.net", "550 5.7.1",
		"XCLIENT ADDR=192.0.2.7 HELO=laptop LOGIN=ALICE@example.net", "220 ",
		"MAIL FROM:<bob@example.net>", "550 5.7.1", "MAIL FROM:<alice@example.net>", "250 ", "RCPT TO:<x@far.example>", "250 ", "DATA", "354 ", testMessage, "250 ")
	list := entries(t, h, spool.InboxRoute)
	if len(list) != 1 {
		t.Fatalf("%+v", list)
	}
	text, _ := os.ReadFile(filepath.Join(h.Dir, "spool/route/new", list[0].Name))
	if !strings.Contains(string(text), "Received: from laptop (unknown [192.0.2.7])") || !strings.Contains(string(text), " with ESMTPA id ") {
		t.Errorf("%s", text)
	}
	wantLog(t, log, "event=login key=- mech=XCLIENT client=192.0.2.7", "login=alice@example.net")
}

// A wrapper's RELAYCLIENT allows its client to relay, in both roles.
func TestRelayClient(t *testing.T) {
	h, _ := newHome(t)
	set(t, h, "xclientfrom", "192.0.2.7\n")
	t.Setenv("TCPREMOTEIP", "192.0.2.7")
	for _, role := range []Role{MX, Submission} {
		for _, relay := range []bool{false, true} {
			mail, rcpt := "250 ", "250 "
			if relay {
				t.Setenv("RELAYCLIENT", "")
			} else {
				os.Unsetenv("RELAYCLIENT")
				rcpt = "550 5.7.1"
				if role == Submission {
					mail, rcpt = "530 5.7.0", "503 "
				}
			}
			s, err := newServer(h, role)
			if err != nil {
				t.Fatal(err)
			}
			talkVia(t, s, "tcpserver", "EHLO x", "250 ", "MAIL FROM:<x@far.example>", mail, "RCPT TO:<y@far.example>", rcpt, "RSET", "250 ",
				"XCLIENT ADDR=192.0.2.8", "220 ", "EHLO x", "250 ", "MAIL FROM:<x@far.example>", map[Role]string{MX: "250 ", Submission: "530 "}[role])
		}
	}
}

func talkVia(t *testing.T, s *server, wrapper string, dialogue ...string) {
	t.Helper()
	converse(t, s, func(c net.Conn) net.Conn {
		forwarded, err := listen.Wrapped(c, wrapper)
		if err != nil {
			t.Error(err)
		}
		return forwarded
	}, dialogue...)
}

// acting is a connection on which a client's word makes something happen.
type acting struct {
	net.Conn
	word string
	do   func()
}

func (a *acting) Read(p []byte) (int, error) {
	n, err := a.Conn.Read(p)
	if strings.Contains(string(p[:n]), a.word) {
		a.do()
	}
	return n, err
}

// What a recipient leads to is asked anew for each transaction, as control(5) says.
func TestRecipientsOfALongSession(t *testing.T) {
	h, _ := newHome(t)
	set(t, h, "aliases", "info: alice\n")
	s, err := newServer(h, MX)
	if err != nil {
		t.Fatal(err)
	}
	change := func() { set(t, h, "aliases", "other: alice\n") }
	converse(t, s, func(c net.Conn) net.Conn { return &acting{c, "RSET", change} },
		"EHLO peer.example", "250 ",
		"MAIL FROM:<x@far.example>", "250 ", "RCPT TO:<info@example.net>", "250 ", "RCPT TO:<other@example.net>", "550 5.1.1",
		"RSET", "250 ",
		"MAIL FROM:<x@far.example>", "250 ", "RCPT TO:<info@example.net>", "550 5.1.1", "RCPT TO:<other@example.net>", "250 ")
}

// A message that would be copied too often is refused as early as possible: by SIZE of
// MAIL, or after the final dot.
func TestCopyBytesOfASession(t *testing.T) {
	const whole = "Date: x\nMessage-ID: <1@x>\n" + testMessage // nothing is added
	h, log := newHome(t)
	set(t, h, "limits", "copybytes: 250\n")
	set(t, h, "relayfrom", "127.0.0.0/8\n")
	talk(t, h, MX, "EHLO peer.example", "250 ",
		"MAIL FROM:<x@far.example> SIZE=100", "250 ",
		"RCPT TO:<alice@example.net>", "250 ",
		"RCPT TO:<info@example.net>", "250 ", // alice and bob: two copies
		"RCPT TO:<nobody@example.net>", "550 5.1.1",
		"RCPT TO:<x@far.example>", "452 4.5.3", // the third
		"RCPT TO:<bob@example.net>", "250 ",
		"DATA", "354 ", whole, "250 2.0.0",
		"MAIL FROM:<x@far.example> SIZE=200", "250 ", // by itself it would not do either
		"RCPT TO:<info@example.net>", "552 5.3.4",
		"RCPT TO:<alice@example.net>", "250 ", "RSET", "250 ",
		"MAIL FROM:<x@far.example> SIZE=200", "250 ", // one copy is none
		"RCPT TO:<x@far.example>", "250 ",
		"RCPT TO:<y@far.example>", "250 ", "RSET", "250 ",
		"MAIL FROM:<x@far.example>", "250 ",
		"RCPT TO:<info@example.net>", "250 ",
		"DATA", "354 ", strings.Repeat("X-Field: 0123456789\n", 10)+whole, "552 5.3.4",
		"MAIL FROM:<x@far.example>", "250 ",
		"RCPT TO:<info@example.net>", "250 ",
		"DATA", "354 ", whole, "250 2.0.0")
	if n := len(entries(t, h, spool.InboxRoute)); n != 2 {
		t.Errorf("%d entries", n)
	}
	wantLog(t, log, "too large for so many mailboxes: 2 copies of ")
}
