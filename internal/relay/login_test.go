package relay

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-sasl"

	"paperpath/internal/explain"
	"paperpath/internal/status"
)

// smart is the host of the tests; its address is none of ours, so that what must not go
// in the clear does not.
const smart = "smtp.example.org"

// loginFile writes control/relay-logins/HOST and returns its path.
func (l *lab) loginFile(host, text string) string {
	l.t.Helper()
	path := filepath.Join(l.home, "control", "relay-logins", host)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		l.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		l.t.Fatal(err)
	}
	return path
}

// b64 encodes what a test expects.
func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// dialogue is a peer that offers AUTH and answers the commands after AUTH one after the
// other.
func dialogue(offers string, replies ...string) func(int, string) string {
	last := 0
	authing := false
	next := 0
	return func(session int, command string) string {
		if session != last {
			last, authing, next = session, false, 0
		}
		switch {
		case strings.HasPrefix(command, "EHLO"):
			return "250-peer.example\r\n" + offers + "\r\n250 PIPELINING"
		case strings.HasPrefix(command, "AUTH"):
			authing = true
		case strings.HasPrefix(command, "MAIL"), command == "QUIT", !authing:
			authing = false
			return ""
		}
		if next++; next > len(replies) {
			return "503 the test has no more replies"
		}
		return replies[next-1]
	}
}

// On loopback a password may go in the clear: every mechanism, and each way in which a
// host refuses. Whatever a host says, the message waits, the log has the host's words and
// never the secret.
func TestLoginDialogues(t *testing.T) {
	challenge := b64(`{"status":"invalid_token","scope":"mail"}`)
	password := "user: alice\npassword: hunter2\n"
	token := "user: alice\npassword: hunter2\nmechanism: XOAUTH2 OAUTHBEARER\n"
	for name, c := range map[string]struct {
		file, offers string
		replies      []string
		commands     string // what the host saw, up to MAIL
		why          string // "": the login is accepted
	}{
		"plain":      {password, "250-AUTH PLAIN", []string{"235 ok"}, "AUTH PLAIN " + b64("\x00alice\x00hunter2"), ""},
		"lower case": {password, "250-auth login plain", []string{"235 ok"}, "AUTH PLAIN " + b64("\x00alice\x00hunter2"), ""},
		"old style":  {password, "250-AUTH=LOGIN", []string{"334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6", "235 ok"}, "AUTH LOGIN|" + b64("alice") + "|" + b64("hunter2"), ""},
		"two lines":  {password, "250-AUTH LOGIN\r\n250-AUTH=PLAIN", []string{"235 ok"}, "AUTH PLAIN " + b64("\x00alice\x00hunter2"), ""},
		"cram":       {password, "250-AUTH CRAM-MD5", []string{"334 " + b64("<1@x>"), "235 ok"}, "AUTH CRAM-MD5|YWxpY2UgNzRjMTdhYTJjZjM1Y2E2MGRlNWM1YjIyNjRiODEzYjM=", ""},
		"no initial response": {password, "250-AUTH PLAIN", []string{"334 ", "235 ok"},
			"AUTH PLAIN " + b64("\x00alice\x00hunter2") + "|" + b64("\x00alice\x00hunter2"), ""},
		"xoauth2":      {token, "250-AUTH PLAIN XOAUTH2", []string{"235 ok"}, "AUTH XOAUTH2 " + b64("user=alice\x01auth=Bearer hunter2\x01\x01"), ""},
		"xoauth2 says": {token, "250-AUTH XOAUTH2", []string{"334 " + challenge, "535 5.7.8 no"}, "AUTH XOAUTH2 " + b64("user=alice\x01auth=Bearer hunter2\x01\x01") + "|", "535 5.7.8 no (status invalid_token, scope mail)"},
		"oauthbearer": {token, "250-AUTH XOAUTH2 OAUTHBEARER", []string{"334 " + challenge, "535 5.7.8 no"},
			"AUTH OAUTHBEARER " + b64("n,a=alice,\x01host=127.0.0.1\x01port=PORT\x01auth=Bearer hunter2\x01\x01") + "|AQ==", "535 5.7.8 no (status invalid_token, scope mail)"},
		"refused":        {password, "250-AUTH PLAIN", []string{"535 5.7.8 <b>wrong</b>"}, "", "535 5.7.8 <b>wrong</b>"},
		"not now":        {password, "250-AUTH PLAIN", []string{"454 4.7.0 later"}, "", "454 4.7.0 later"},
		"too weak":       {password, "250-AUTH PLAIN", []string{"534 5.7.9 too weak"}, "", "534 5.7.9 too weak"},
		"encryption":     {password, "250-AUTH PLAIN", []string{"538 5.7.11 encrypt"}, "", "538 5.7.11 encrypt"},
		"unknown":        {password, "250-AUTH PLAIN", []string{"504 5.5.4 what?"}, "", "504 5.5.4 what?"},
		"impossible":     {password, "250-AUTH PLAIN", []string{"250 ok"}, "", "an answer that this command cannot have"},
		"hangs up":       {password, "250-AUTH PLAIN", []string{hangUp}, "", "it closed the connection"},
		"no base64":      {password, "250-AUTH CRAM-MD5", []string{"334 ???", "501 ended"}, "AUTH CRAM-MD5|*", "the challenge is not base64"},
		"endless":        {password, "250-AUTH PLAIN", []string{"334 ", "334 ", "501 ended"}, "", "a challenge that the mechanism does not have"},
		"no AUTH":        {password, "250-SIZE", nil, "", "the host offers no AUTH"},
		"none of ours":   {password, "250-AUTH GSSAPI NTLM", nil, "", "it offers GSSAPI NTLM, which is none of"},
		"token, no auth": {token, "250-AUTH PLAIN LOGIN", nil, "", "it offers PLAIN LOGIN, which is none of OAUTHBEARER XOAUTH2"},
		"proves nothing": {password, "250-AUTH SCRAM-SHA-256", []string{"235 come in"}, "", "it did not prove that it knows the password"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			p := newPeer(t, dialogue(c.offers, c.replies...))
			l.route("elsewhere.example", p)
			l.loginFile("127.0.0.1", c.file)
			err := l.send(far)[0].Err
			_, commands, _ := p.seen()
			seen := strings.Join(commands, "|")
			if c.commands != "" {
				_, port, _ := strings.Cut(p.addr, ":")
				want := c.commands
				if strings.HasPrefix(want, "AUTH OAUTHBEARER") {
					want = "AUTH OAUTHBEARER " + b64("n,a=alice,\x01host=127.0.0.1\x01port="+port+"\x01auth=Bearer hunter2\x01\x01") + "|AQ=="
				}
				if !strings.Contains(seen+"|", "|"+want+"|") {
					t.Errorf("commands %s, want %s", seen, want)
				}
			}
			switch {
			case c.why == "":
				match(t, l.log(), `event=relay-login key=KEY host=127.0.0.1 addr=127.0.0.1 user=alice mech=[A-Z]`)
				if err != nil || p.count("DATA") != 1 {
					t.Errorf("%v", err)
				}
			case status.Exit(err) != status.TempFail || !strings.Contains(err.Error(), c.why):
				t.Errorf("%v, want %s", err, c.why)
			case p.count("MAIL") > 0:
				t.Error("it sends without a login")
			default:
				match(t, l.log(), `event=relay-login-failed key=KEY host=127.0.0.1 addr=127.0.0.1 user=alice `)
				if !strings.Contains(l.log(), c.why) {
					t.Errorf("no %q in %s", c.why, l.log())
				}
			}
			if text := l.log() + fmt.Sprint(err); strings.Contains(text, "hunter2") || strings.Contains(text, b64("\x00alice\x00hunter2")) {
				t.Errorf("the secret is in %s", text)
			}
		})
	}
}

// After a refused login there is no second one until the rest is over, a person asks, or
// the file changes; an accepted one ends the count.
func TestRefusedLoginRests(t *testing.T) {
	l := newLab(t)
	var right atomic.Bool
	p := newPeer(t, func(_ int, command string) string {
		switch {
		case strings.HasPrefix(command, "EHLO"):
			return "250-peer.example\r\n250 AUTH PLAIN"
		case strings.HasPrefix(command, "AUTH") && right.Load():
			return "235 ok"
		case strings.HasPrefix(command, "AUTH"):
			return "535 5.7.8 wrong"
		}
		return ""
	})
	l.route("elsewhere.example", p)
	l.loginFile("127.0.0.1", "user: alice\npassword: hunter2\n")
	tries := func(want int, what string) error {
		t.Helper()
		m := l.message(letter, far)
		if what == "asked" {
			m.Asked = time.Now()
		}
		err := l.sendMessage(m)[0].Err
		if n := p.count("AUTH"); n != want {
			t.Errorf("%s: %d logins, want %d: %v", what, n, want, err)
		}
		return err
	}
	tries(1, "first")
	if err := tries(1, "resting"); err == nil || !strings.Contains(err.Error(), "the login was refused at ") || status.Exit(err) != status.TempFail {
		t.Error(err)
	}
	if sessions, _, _ := p.seen(); sessions != 1 {
		t.Errorf("%d sessions", sessions)
	}
	var trail explain.Trail
	l.Explain(t.Context(), "alice@example.net", far, &trail)
	var told strings.Builder
	trail.Write(&told, false)
	match(t, told.String(), `(?m)^login: alice with password \(control/relay-logins/127.0.0.1:1\)\nlogin: defer: .*was refused at`)
	other := newLab(t) // another process
	other.home, other.Control, other.logins = l.home, l.Control, newLogins(l.home)
	other.now = l.now
	if err := other.send(far)[0].Err; err == nil || p.count("AUTH") != 1 {
		t.Errorf("another process: %v", err)
	}
	l.now = l.now.Add(5*time.Minute + time.Second)
	tries(2, "after 5 minutes")
	l.now = l.now.Add(5*time.Minute + time.Second)
	tries(2, "the rest doubles")
	l.now = l.now.Add(5 * time.Minute)
	tries(3, "after 10 minutes")
	l.now = time.Now() // or the asking would be in the past
	l.logins.table.Close()
	os.Remove(filepath.Join(l.home, "run", "relay-logins"))
	tries(4, "without the file")
	time.Sleep(2 * coarse)
	tries(5, "asked")
	l.loginFile("127.0.0.1", "user: alice\npassword: changed\n")
	right.Store(true)
	if err := tries(6, "changed"); err != nil {
		t.Error(err)
	}
}

// A token is used again for a minute, and its command runs again if the host refuses it:
// then it may have expired.
func TestTokenCommand(t *testing.T) {
	l := newLab(t)
	dir := t.TempDir()
	command := filepath.Join(dir, "token")
	count := filepath.Join(dir, "count")
	if err := os.WriteFile(command, []byte("#!/bin/sh\necho x >>"+count+"\nwc -l <"+count+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	var good atomic.Value // the token that counts
	good.Store("2")
	p := newPeer(t, func(_ int, text string) string {
		switch {
		case strings.HasPrefix(text, "EHLO"):
			return "250-peer.example\r\n250 AUTH XOAUTH2"
		case text == "AUTH XOAUTH2 "+b64("user=a\x01auth=Bearer "+good.Load().(string)+"\x01\x01"):
			return "235 ok"
		case strings.HasPrefix(text, "AUTH"):
			return "535 expired"
		}
		return ""
	})
	l.route("elsewhere.example", p)
	l.loginFile("127.0.0.1", "user: a\ncommand: "+command+"\nmechanism: XOAUTH2\n")
	runs := func(want int) {
		t.Helper()
		if b, _ := os.ReadFile(count); len(b) != 2*want {
			t.Errorf("the command ran %d times, want %d", len(b)/2, want)
		}
	}
	if err := l.send(far)[0].Err; err == nil {
		t.Error("a refused token")
	}
	runs(1) // a fresh one that is refused is not fetched again
	l.now = l.now.Add(time.Hour)
	good.Store("1")
	if err := l.send(far)[0].Err; err != nil {
		t.Error(err)
	}
	runs(1)
	l.part()
	good.Store("2")
	if err := l.send(far)[0].Err; err != nil {
		t.Error(err)
	}
	runs(2)
	if n := p.count("AUTH"); n != 4 {
		t.Errorf("%d logins", n)
	}
}

// What is wrong on our side defers, with an event, and no connection is made for it.
func TestBrokenLoginFile(t *testing.T) {
	for name, spoil := range map[string]func(l *lab){
		"others read it": func(l *lab) { os.Chmod(l.loginFile("127.0.0.1", "user: a\npassword: hunter2\n"), 0o644) },
		"broken":         func(l *lab) { l.loginFile("127.0.0.1", "user: a\npassword hunter2\n") },
		"no key":         func(l *lab) { l.loginFile("127.0.0.1", "certificate: nowhere.pem\n") },
		"is a directory": func(l *lab) { os.MkdirAll(filepath.Join(l.home, "control/relay-logins/127.0.0.1"), 0o700) },
	} {
		l := newLab(t)
		p := newPeer(t, kind)
		l.route("elsewhere.example", p)
		spoil(l)
		err := l.send(far)[0].Err
		if status.Exit(err) != status.TempFail || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
		if sessions, _, _ := p.seen(); sessions > 0 {
			t.Errorf("%s: %d sessions", name, sessions)
		}
		match(t, l.log(), "event=trouble .*relay-logins/127.0.0.1")
	}
}

// What explain says of a host with a login is the rule that its sessions have.
func TestExplainLogin(t *testing.T) {
	l := newLab(t)
	newSmart(t, l, sasl.Plain, nil)
	l.loginFile(smart, "user: alice\npassword: hunter2\nsender: bob@example.net\nuser: bob\npassword: x\nmechanism: PLAIN\n")
	for from, want := range map[string]string{"alice@example.net": `alice with password`, "bob@example.net": `bob with password by PLAIN`} {
		var trail explain.Trail
		if err := l.Explain(t.Context(), from, far, &trail); err != nil {
			t.Fatal(err)
		}
		var told strings.Builder
		trail.Write(&told, false)
		match(t, told.String(), `(?m)^tls: verify .*\(control/routes:1\)$`)
		match(t, told.String(), `(?m)^login: `+want+` \(control/relay-logins/smtp.example.org:\d\)$`)
	}
}

// However many sessions want to log in at once, a wrong password is tried once.
func TestRefusedLoginIsTriedOnce(t *testing.T) {
	l := newLab(t)
	p := newPeer(t, func(_ int, command string) string {
		switch {
		case strings.HasPrefix(command, "EHLO"):
			return "250-peer.example\r\n250 AUTH PLAIN"
		case strings.HasPrefix(command, "AUTH"):
			return "535 5.7.8 wrong"
		}
		return ""
	})
	l.set("routes", ".: "+p.addr)
	l.loginFile("127.0.0.1", "user: alice\npassword: hunter2\n")
	var wait sync.WaitGroup
	for i := range 20 {
		wait.Go(func() {
			if err := l.sendMessage(l.message(letter, fmt.Sprintf("x@d%d.example", i)))[0].Err; status.Exit(err) != status.TempFail {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if n := p.count("AUTH"); n != 1 {
		t.Errorf("%d logins", n)
	}
}

// Two accounts at one host: each sender has the session of its own.
func TestLoginBySender(t *testing.T) {
	l := newLab(t)
	conf := serverTLSFor(t, smart)
	_, logins := newSmart(t, l, sasl.Plain, conf)
	l.trust(conf)
	l.loginFile(smart, "user: alice\npassword: hunter2\nsender: bob@example.net\nuser: bob\npassword: hunter2\n")
	for _, from := range []string{"alice@example.net", "bob@example.net", ""} {
		m := l.message(letter, far)
		m.From.Addr = from
		if err := l.sendMessage(m)[0].Err; err != nil {
			t.Errorf("%s: %v", from, err)
		}
	}
	if got := fmt.Sprint(*logins); got != "[alice bob]" { // the last goes in the session of the first
		t.Error(got)
	}
}

// A host that requires a login and gets none, since there is no file.
func TestNoLoginFile(t *testing.T) {
	l := newLab(t)
	newSmart(t, l, sasl.Plain, nil)
	err := l.send(far)[0].Err
	if status.Exit(err) != status.TempFail || !strings.Contains(err.Error(), "there is no control/relay-logins/smtp.example.org") {
		t.Error(err)
	}
}
