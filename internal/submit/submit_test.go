package submit

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/home"
	"paperpath/internal/maillog"
	"paperpath/internal/rights"
	"paperpath/internal/spool"
)

// newHome makes a home with the users alice and bob, whose password is secret.
func newHome(t *testing.T) (*home.Home, *bytes.Buffer) {
	t.Helper()
	dir := memoryDir(t)
	if err := spool.Init(dir); err != nil {
		t.Fatal(err)
	}
	const hash = "{PLAIN}secret" // checked in no time
	old := time.Now().Add(-time.Hour)
	for _, part := range []string{"control", "log", "run", "mail"} {
		os.Mkdir(filepath.Join(dir, part), 0o700)
	}
	for name, text := range map[string]string{
		"hostname": "mx.example.net\n",
		"domains":  "example.net\n",
		"users":    "alice@example.net:" + hash + ":::::\nbob@example.net:" + hash + ":::::\n",
		"aliases":  "info: alice, bob\nsales@example.net: bob\n",
		"senders":  "bob@example.net: @lists.example\n",
	} {
		path := filepath.Join(dir, "control", name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		os.Chtimes(path, old, old)
	}
	var log bytes.Buffer
	return &home.Home{Place: rights.Place{Name: "mailsubmit", Dir: dir}, Control: control.Open(dir, time.Now),
		Log: maillog.To(&log, "mailsubmit", time.Now)}, &log
}

// memoryDir is a directory in memory, if there is such a file system: accepting syncs
// a lot, and no test here is about that. Its path is short enough for a Unix socket.
func memoryDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "pp")
	if err != nil {
		dir, err = os.MkdirTemp("", "pp")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// talk plays a dialogue: commands, and after each the beginning of the last line of
// the expected reply.
func talk(t *testing.T, h *home.Home, role Role, dialogue ...string) {
	t.Helper()
	s, err := newServer(h, role)
	if err != nil {
		t.Fatal(err)
	}
	talkTo(t, s, dialogue...)
}

func talkTo(t *testing.T, s *server, dialogue ...string) {
	t.Helper()
	converse(t, s, func(c net.Conn) net.Conn { return c }, dialogue...)
}

// converse plays a dialogue with the server over a connection that wrap returns.
func converse(t *testing.T, s *server, wrap func(net.Conn) net.Conn, dialogue ...string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	done := make(chan error, 1)
	go func() {
		conn, err := ln.Accept()
		if err == nil {
			err = s.serve(context.Background(), &home.Client{Conn: wrap(conn)})
			conn.Close()
		}
		done <- err
	}()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	r := &replies{conn}
	if got := r.next(t); !strings.HasPrefix(got, "220 ") {
		t.Fatalf("greeting %q", got)
	}
	for i := 0; i < len(dialogue); i += 2 {
		io.WriteString(conn, strings.ReplaceAll(dialogue[i], "\n", "\r\n")+"\r\n")
		if got := r.next(t); !strings.HasPrefix(got, dialogue[i+1]) {
			t.Fatalf("%q was answered %q, want %q", dialogue[i], got, dialogue[i+1])
		}
	}
	conn.Close()
	if err := <-done; err != nil {
		t.Errorf("session: %v", err)
	}
}

// replies reads whole replies.
type replies struct{ conn net.Conn }

// next returns the last line of the next reply.
func (p *replies) next(t *testing.T) string {
	t.Helper()
	var line []byte
	one := make([]byte, 1)
	for {
		if _, err := p.conn.Read(one); err != nil {
			t.Fatalf("read a reply: %v (so far %q)", err, line)
		}
		line = append(line, one[0])
		if one[0] == '\n' {
			if len(line) > 3 && line[3] == ' ' {
				return string(line)
			}
			line = nil
		}
	}
}

const testMessage = "From: alice@example.net\nSubject: x\n\nhello\n."

func entries(t *testing.T, h *home.Home, in spool.Inbox) []spool.Listing {
	t.Helper()
	sp, err := h.Spool()
	if err != nil {
		t.Fatal(err)
	}
	list, err := sp.List(in)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestTheRoleMX(t *testing.T) {
	h, log := newHome(t)
	talk(t, h, MX, "EHLO peer.example", "250 ",
		"MAIL FROM:<x@far.example>", "250 2.1.0",
		"RCPT TO:<nobody@example.net>", "550 5.1.1",
		"RCPT TO:<someone@far.example>", "550 5.7.1",
		"RCPT TO:<ALICE+list@Example.NET>", "250 2.1.5",
		"RCPT TO:<info@example.net>", "250 2.1.5",
		"RCPT TO:<postmaster>", "250 2.1.5",
		"DATA", "354 ",
		testMessage, "250 2.0.0 accepted as ",
		"MAIL FROM:<>", "250 2.1.0",
		"RCPT TO:<bob@example.net>", "250 2.1.5",
		"DATA", "354 ",
		"Subject: no author\n\nx\n.", "550 5.6.0",
		"AUTH PLAIN AGJvYgBzZWNyZXQ=", "5")
	list := entries(t, h, spool.InboxRoute)
	if len(list) != 1 {
		t.Fatalf("route/ holds %+v", list)
	}
	var to []string
	for _, r := range list[0].Envelope.To {
		to = append(to, r.Addr)
	}
	if got := strings.Join(to, " "); got != "ALICE+list@Example.NET info@example.net postmaster@example.net" {
		t.Errorf("recipients %s", got)
	}
	for _, want := range []string{"event=accepted key=" + string(list[0].Key), "event=refused", "helo=peer.example", "550 5.7.1"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, log)
		}
	}
}

func TestTheRoleSubmission(t *testing.T) {
	h, log := newHome(t)
	talk(t, h, Submission, "EHLO laptop", "250 ",
		"MAIL FROM:<alice@example.net>", "530 5.7.0",
		"AUTH PLAIN AGFsaWNlQGV4YW1wbGUubmV0AHdyb25n", "535 5.7.8",
		"AUTH PLAIN AGFsaWNlQGV4YW1wbGUubmV0AHNlY3JldA==", "235 2.7.0",
		"MAIL FROM:<bob@example.net>", "550 5.7.1",
		"MAIL FROM:<info@example.net>", "250 ",
		"RSET", "250 ",
		"MAIL FROM:<alice+x@example.net>", "250 ",
		"RCPT TO:<anybody@far.example>", "250 ",
		"RCPT TO:<nobody@example.net>", "550 5.1.1",
		"DATA", "354 ",
		"Bcc: secret@far.example\n"+testMessage, "250 2.0.0",
		"MAIL FROM:<alice@example.net>", "250 ",
		"RCPT TO:<anybody@far.example>", "250 ",
		"DATA", "354 ",
		"From: bob@example.net\n\nforged\n.", "550 5.7.1")
	list := entries(t, h, spool.InboxRoute)
	if len(list) != 1 {
		t.Fatalf("route/ holds %+v", list)
	}
	text, err := os.ReadFile(filepath.Join(h.Dir, "spool/route/new", list[0].Name))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{" with ESMTPA id ", "\nDate: ", "\nMessage-ID: <", "\nFrom: alice@example.net\nSubject: x\n\nhello\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the entry lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(string(text), "secret@far") {
		t.Errorf("a blind copy is visible:\n%s", text)
	}
	if !strings.Contains(log.String(), "event=login-failed") || strings.Contains(log.String(), "secret") {
		t.Errorf("the log is\n%s", log)
	}
}

func TestWhoMaySendAsWhom(t *testing.T) {
	h, log := newHome(t)
	const alice, bob = "AUTH PLAIN AGFsaWNlQGV4YW1wbGUubmV0AHNlY3JldA==", "AUTH PLAIN AGJvYkBleGFtcGxlLm5ldABzZWNyZXQ="
	for _, c := range []struct{ name, login, from, header, want string }{
		{"own", alice, "alice@example.net", "From: alice@example.net", "250 2.0.0"},
		{"own, bare", alice, "alice@example.net", "From: Alice <alice>", "250 2.0.0"},
		{"own, extension", alice, "alice+x@example.net", "From: alice+y@example.net", "250 2.0.0"},
		{"their alias", alice, "info@example.net", "From: info@example.net", "250 2.0.0"},
		{"alias of another", alice, "sales@example.net", "", "550 5.7.1"},
		{"another", alice, "bob@example.net", "", "550 5.7.1"},
		{"nobody here", alice, "ghost@example.net", "", "550 5.7.1"},
		{"elsewhere", alice, "alice@far.example", "", "550 5.7.1"},
		{"domain by a row", bob, "any@lists.example", "From: other@lists.example", "250 2.0.0"},
		{"row of another", alice, "any@lists.example", "", "550 5.7.1"},
		{"null reverse path", alice, "", "From: alice@example.net", "250 2.0.0"},
		{"null reverse path, From of another", alice, "", "From: bob@example.net", "550 5.7.1"},
		{"From of another", alice, "alice@example.net", "From: Alice <bob@example.net>", "550 5.7.1"},
		{"two authors, both theirs", alice, "alice@example.net", "From: alice@example.net, info@example.net", "250 2.0.0"},
		{"two authors, one another", alice, "alice@example.net", "From: alice@example.net, bob@example.net", "550 5.7.1"},
		{"a group of authors", alice, "alice@example.net", "From: all: alice@example.net, bob@example.net;", "550 5.7.1"},
		{"two From fields", alice, "alice@example.net", "From: alice@example.net\nFrom: alice@example.net", "550 5.6.0"},
		{"no From", alice, "alice@example.net", "Subject: x", "250 2.0.0"},
		{"empty From", alice, "alice@example.net", "From:", "250 2.0.0"},
		{"From without an address", alice, "alice@example.net", "From: nobody:;", "550 5.6.0"},
		{"From that is none", alice, "alice@example.net", "From: alice@example.net bob@example.net", "550 5.6.0"},
		{"Sender of another", alice, "alice@example.net", "From: alice@example.net\nSender: bob@example.net", "550 5.7.1"},
		{"their own Sender", alice, "alice@example.net", "From: alice@example.net\nSender: info@example.net", "250 2.0.0"},
		{"Sender that is none", alice, "alice@example.net", "From: alice@example.net\nSender: a b", "554 5.6.0"},
		{"resent, theirs", alice, "alice@example.net", "Resent-From: alice@example.net\nResent-To: x@far.example\nFrom: alice@example.net", "250 2.0.0"},
		{"resent, another's", alice, "alice@example.net", "Resent-From: bob@example.net\nFrom: alice@example.net", "550 5.7.1"},
		{"resent, From of another", alice, "alice@example.net", "Resent-From: alice@example.net\nFrom: x@far.example", "550 5.7.1"},
	} {
		words := []string{"EHLO laptop", "250 ", c.login, "235 ", "MAIL FROM:<" + c.from + ">", c.want}
		if c.header != "" {
			words = append(words[:5], "250 ", "RCPT TO:<x@far.example>", "250 ", "DATA", "354 ", c.header+"\nTo: x@far.example\n\nx\n.", c.want)
		}
		t.Run(c.name, func(t *testing.T) { talk(t, h, Submission, words...) })
	}
	if !strings.Contains(log.String(), `event=refused key=- from=bob@example.net to="" reply="550 5.7.1 alice@example.net may not send as bob@example.net"`) {
		t.Errorf("the log is\n%s", log)
	}
}

// SMTP accepts every login that POP3 accepts, after HELO too.
func TestLoginsOfPOP3(t *testing.T) {
	for login, code := range map[string]string{"alice": "235 ", "ALICE": "235 ", "alice@example.net": "235 ",
		"alice@example.net+Junk": "235 ", "alice@example.net!": "235 ", "alice@example.net+Junk!": "235 ",
		"alice@example.net+../x": "535 ", "nobody": "535 ", "": "535 "} {
		for _, hello := range []string{"EHLO", "HELO"} {
			t.Run(hello+" "+login, func(t *testing.T) {
				t.Parallel() // a wrong login waits
				h, log := newHome(t)
				plain := base64.StdEncoding.EncodeToString([]byte("\x00" + login + "\x00secret"))
				talk(t, h, Submission, hello+" laptop", "250 ", "AUTH PLAIN "+plain, code)
				if in := strings.Contains(log.String(), "event=login key=- mech=PLAIN client=127.0.0.1 helo=laptop login=alice@example.net"); in != (code == "235 ") {
					t.Errorf("the log is\n%s", log)
				}
			})
		}
	}
	h, _ := newHome(t)
	talk(t, h, Submission, "HELO laptop", "250 ", "AUTH PLAIN AGFsaWNlAHNlY3JldA==", "235 ",
		"MAIL FROM:<alice@example.net>", "250 ", "RCPT TO:<anybody@far.example>", "250 ", "DATA", "354 ", testMessage, "250 2.0.0")
	if list := entries(t, h, spool.InboxRoute); len(list) != 1 {
		t.Errorf("route/ holds %+v", list)
	} else if text, _ := os.ReadFile(filepath.Join(h.Dir, "spool/route/new", list[0].Name)); !strings.Contains(string(text), "\n with ESMTPA id ") {
		t.Errorf("the entry is\n%s", text)
	}
}

func TestAuthenticatedUsersAreCompletedAndHidden(t *testing.T) {
	for _, hide := range []string{"", "no", "yes"} {
		h, log := newHome(t)
		if hide != "" {
			path := filepath.Join(h.Dir, "control/hideclient")
			if err := os.WriteFile(path, []byte(hide+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		talk(t, h, Submission, "EHLO secret.example", "250 ",
			"AUTH PLAIN AGFsaWNlQGV4YW1wbGUubmV0AHNlY3JldA==", "235 ",
			"MAIL FROM:<>", "250 ", "RCPT TO:<anybody@far.example>", "250 ", "DATA", "354 ",
			"To: bob, x@far.example\nBcc: y@far.example\n\nno author\n.", "250 ")
		list := entries(t, h, spool.InboxRoute)
		if len(list) != 1 {
			t.Fatalf("route/ holds %+v", list)
		}
		text, _ := os.ReadFile(filepath.Join(h.Dir, "spool/route/new", list[0].Name))
		for _, want := range []string{"\nFrom: alice@example.net\nDate: ", "\nTo: bob@example.net, x@far.example\n\nno author\n"} {
			if !strings.Contains(string(text), want) {
				t.Errorf("the entry lacks %q:\n%s", want, text)
			}
		}
		if hidden := !strings.Contains(string(text), "secret.example (unknown [127.0.0.1])"); hidden != (hide == "yes") || strings.Contains(string(text), "Received: by ") != hidden {
			t.Errorf("hideclient %q:\n%s", hide, text)
		}
		if !strings.Contains(log.String(), "client=127.0.0.1 helo=secret.example login=alice@example.net") {
			t.Errorf("the log is\n%s", log)
		}
	}
	// A host that may send without a login where users do is completed too.
	g, _ := newHome(t)
	if err := os.WriteFile(filepath.Join(g.Dir, "control/relayfrom"), []byte("127.0.0.1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	talk(t, g, Submission, "EHLO printer", "250 ", "MAIL FROM:<printer@example.net>", "250 ", "RCPT TO:<x@far.example>", "250 ", "DATA", "354 ",
		"To: bob\n\nno author\n.", "250 ",
		"MAIL FROM:<>", "250 ", "RCPT TO:<x@far.example>", "250 ", "DATA", "354 ", "To: bob\n\nno author\n.", "550 5.6.0")
	text, _ := os.ReadFile(filepath.Join(g.Dir, "spool/route/new", entries(t, g, spool.InboxRoute)[0].Name))
	if !strings.Contains(string(text), "\nFrom: printer@example.net\nDate: ") || !strings.Contains(string(text), "\nTo: bob@example.net\n") {
		t.Errorf("the entry is\n%s", text)
	}

	// Who did not log in is never hidden.
	h, _ := newHome(t)
	path := filepath.Join(h.Dir, "control/hideclient")
	if err := os.WriteFile(path, []byte("yes\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	talk(t, h, MX, "EHLO peer.example", "250 ", "MAIL FROM:<x@far.example>", "250 ", "RCPT TO:<bob@example.net>", "250 ",
		"DATA", "354 ", testMessage, "250 ")
	text, _ = os.ReadFile(filepath.Join(h.Dir, "spool/route/new", entries(t, h, spool.InboxRoute)[0].Name))
	if !strings.Contains(string(text), "Received: from peer.example (unknown [127.0.0.1])") ||
		strings.Contains(string(text), "(relayfrom)") {
		t.Errorf("the entry is\n%s", text)
	}
}

func TestForgedResultsAndReturnPathGo(t *testing.T) {
	h, _ := newHome(t)
	talk(t, h, MX, "EHLO peer.example", "250 ", "MAIL FROM:<x@far.example>", "250 ", "RCPT TO:<bob@example.net>", "250 ",
		"DATA", "354 ",
		"Authentication-Results: MX.example.net; dkim=pass\n (forged)\nAuthentication-Results: other.example; spf=pass\n"+testMessage, "250 ")
	list := entries(t, h, spool.InboxRoute)
	text, _ := os.ReadFile(filepath.Join(h.Dir, "spool/route/new", list[0].Name))
	if strings.Contains(string(text), "forged") || strings.Contains(string(text), "dkim=pass") ||
		!strings.Contains(string(text), "other.example; spf=pass") {
		t.Errorf("the entry is\n%s", text)
	}
}
