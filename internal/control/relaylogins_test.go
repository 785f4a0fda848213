package control

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/internal/status"
)

// loginFile writes control/relay-logins/HOST with mode 0600.
func loginFile(t *testing.T, f *fixture, host, text string) string {
	t.Helper()
	path := filepath.Join(f.Home(), "control", relayLoginsDir, host)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRelayLogins(t *testing.T) {
	f := newFixture(t, map[string]string{"hostname": "mx.example.net\n"})
	loginFile(t, f, "smtp.example.org", "# ours\nUser: alice@example.org\npassword: two words # and this\n\n"+
		"sender: Bob@Example.ORG\nuser: bob\ncommand: /bin/echo token of bob\nmechanism: oauthbearer xoauth2\n"+
		"sender: .com\ncertificate: tls/c.pem\nkey: /k.pem\n")
	list, err := f.RelayLogins("smtp.example.org")
	if err != nil || len(list) != 3 {
		t.Fatal(list, err)
	}
	for sender, want := range map[string]string{
		"carol@example.net": "alice@example.org with password", "": "alice@example.org with password",
		"bob@example.org": "bob with what /bin/echo prints by OAUTHBEARER or XOAUTH2",
		"x@EXAMPLE.com":   "with certificate " + filepath.Join(f.Home(), "control/tls/c.pem"),
	} {
		if l := LoginFor(list, sender); l == nil || l.String() != want {
			t.Errorf("%s: %v, want %s", sender, l, want)
		}
	}
	if list[0].Password != "two words # and this" || list[2].Key != "/k.pem" || !list[1].TakesToken() || list[0].TakesToken() {
		t.Errorf("%#v", list)
	}
	if got, err := list[1].Secret(t.Context()); err != nil || string(got) != "token of bob" {
		t.Errorf("%q, %v", string(got), err)
	}
	if text := fmt.Sprintf("%v %+v %#v %s", list, list, list, list[0].Password); strings.Contains(text, "two words") {
		t.Errorf("the password is printed: %s", text)
	}
	if list, err := f.RelayLogins("elsewhere.example"); list != nil || err != nil {
		t.Errorf("no file: %v, %v", list, err)
	}
	if list, err := f.RelayLogins("../hostname"); list != nil || err != nil {
		t.Errorf("a path: %v, %v", list, err)
	}
	if LoginFor(list[1:], "carol@example.net") != nil {
		t.Error("a login for somebody else")
	}
}

// A changed file is another login.
func TestRelayLoginID(t *testing.T) {
	f := newFixture(t, nil)
	loginFile(t, f, "a.example", "user: a\npassword: b\nsender: x@y\nuser: a\npassword: b\n")
	first, err := f.RelayLogins("a.example")
	if err != nil || first[0].ID == first[1].ID {
		t.Fatal(first, err)
	}
	if again, _ := f.RelayLogins("a.example"); again[0].ID != first[0].ID {
		t.Errorf("%q became %q", first[0].ID, again[0].ID)
	}
	loginFile(t, f, "a.example", "user: a\npassword: changed\n")
	if again, _ := f.RelayLogins("a.example"); again[0].ID == first[0].ID {
		t.Errorf("%q stays", first[0].ID)
	}
}

// Whatever is wrong is temporary, names file and line, and shows no part of a password.
func TestBrokenRelayLogins(t *testing.T) {
	for text, want := range map[string]string{
		"":                            "control/relay-logins/h.example: there is no login in it",
		"user: a\n":                   ":1: no password",
		"password: hunter2\n":         ":1: no user",
		"user: a\npassword hunter2\n": ":2: not a row",
		"user: a\nhunter2: x\n":       ":2: unknown row",
		"user: a\nhunter2:\n":         ":2: not a row",
		"user: a\nuser: b\n":          `:2: "user" is already in line 1`,
		"user: a\npassword: hunter2\ncommand: /bin/true\n":       ":1: a password and a command",
		"user: a\ncommand: echo hunter2\n":                       ":2: command: the program needs an absolute path",
		"user: a\npassword: hunter2\nmechanism: NTLM\n":          `:3: mechanism: "NTLM" is none of PLAIN`,
		"user: a\npassword: hunter2\nmechanism: PLAIN XOAUTH2\n": ":3: mechanism: a token is no password",
		"user: a\npassword: hunter2\nmechanism: EXTERNAL\n":      ":1: EXTERNAL needs a certificate",
		"key: /k\n":                           ":1: a key without its certificate",
		"sender: a b\nuser: a\n":              `:1: sender "a b" `,
		"sender: a@\nuser: a\n":               `:1: sender "a@" `,
		"sender: a@b\nsender: c@d\n":          ":1: no password",
		"user: a\npassword: hunter2\nuser: b": "no line end",
		"sender: a@b\nuser: a\npassword: hunter2\nsender: A@B\nuser: c\n": `:4: "a@b" is already in line 1`,
		"user: a\npassword: hun\x00ter2\n":                                ":2: control character",
	} {
		f := newFixture(t, nil)
		f.clock = time.Now() // the file has just been written
		loginFile(t, f, "h.example", text)
		list, err := f.RelayLogins("h.example")
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "control/relay-logins/h.example") ||
			strings.Contains(err.Error(), "hunter2") || status.Exit(err) != status.TempFail {
			t.Errorf("%q: %v, %v, want %s", text, list, err, want)
		}
	}
}

// A file that others can read is not used.
func TestRelayLoginsOfOthers(t *testing.T) {
	for mode, ok := range map[os.FileMode]bool{0o600: true, 0o400: true, 0o640: false, 0o604: false, 0o620: false} {
		f := newFixture(t, nil)
		path := loginFile(t, f, "h.example", "user: a\npassword: hunter2\n")
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := f.RelayLogins("h.example")
		if (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "chmod 600 "+path) {
			t.Errorf("%04o: %v", mode, err)
		}
	}
}

// The command of a login fails in many ways, none of which shows what it printed.
func TestLoginCommand(t *testing.T) {
	for text, want := range map[string]string{
		"printf 'hunter2\\r\\nlogin: x\\n'": "", "echo $HOME-$USER-$LOGNAME": "",
		"echo hunter2; exit 3": "exit status 3", "echo; echo hunter2": "printed nothing", ":": "printed nothing",
		"yes hunter2 | head -c 100000": "more than 65536 bytes", "printf 'hunter2\\033\\n'": "control characters",
		"kill -9 $$": "signal: killed",
	} {
		path := filepath.Join(t.TempDir(), "command")
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		l := RelayLogin{Command: Program{path}, Where: "control/relay-logins/h:2"}
		got, err := l.Secret(t.Context())
		if want == "" {
			if err != nil || string(got) != "hunter2" && !strings.HasPrefix(string(got), "/") || strings.HasSuffix(string(got), "-") {
				t.Errorf("%s: %q, %v", text, string(got), err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") ||
			!strings.Contains(err.Error(), l.Where) || status.Exit(err) != status.TempFail {
			t.Errorf("%s: %q, %v, want %s", text, string(got), err, want)
		}
	}
	l := RelayLogin{Command: Program{"/nowhere/at/all"}, Where: "w"}
	if _, err := l.Secret(t.Context()); err == nil {
		t.Error("a program that is not there")
	}
}

func TestCheckRelayLogins(t *testing.T) {
	f := newFixture(t, map[string]string{"hostname": "mx.example.net\n", "domains": "example.net\n", "users": "",
		"routes": ".: smtp.example.org:587\n"})
	loginFile(t, f, "smtp.example.org", "user: alice\npassword: hunter2\n")
	loginFile(t, f, "Old.example", "user: alice\ncommand: /nowhere/at/all\n")
	if err := os.Chmod(loginFile(t, f, "wide.example", "user: x\npassword: y\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	got := ""
	r := f.Check()
	for _, x := range r.Findings {
		if strings.HasPrefix(x.File, relayLoginsDir) {
			got += fmt.Sprintf("%v %s\n", x.Warning, x.String())
		}
	}
	for _, want := range []string{"true control/relay-logins/Old.example: no row of control/routes or control/sender-routes names this host",
		"false control/relay-logins/Old.example: stat /nowhere/at/all: no such",
		"false control/relay-logins/wide.example: others can read it: its mode is 0644 (chmod 600 "} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	shown := fmt.Sprintf("%+v", r.InForce)
	if !strings.Contains(shown, "alice with password") || strings.Contains(shown, "hunter2") || strings.Contains(got, "smtp.example.org") {
		t.Errorf("%s\n%s", shown, got)
	}
}

// FuzzRelayLogins: no text makes it panic, and what is accepted can be used.
func FuzzRelayLogins(f *testing.F) {
	f.Add([]byte("user: a\npassword: b\nsender: c@d\ncertificate: x\n"))
	f.Add([]byte("sender: @d\nuser: a\ncommand: /bin/true x\nmechanism: xoauth2\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := parseRelayLogins("relay-logins/h", data)
		for _, l := range list {
			if err != nil || l.incomplete() != "" || l.Where == "" || strings.ContainsFunc(l.User+string(l.Password), isControl) {
				t.Errorf("%q: %#v, %v", data, l, err)
			}
		}
	})
}
