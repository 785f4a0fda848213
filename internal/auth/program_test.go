package auth

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"paperpath/internal/status"
)

// script writes a shell script and returns its path.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// checker is a checkpassword program: alice's password is "secret", that of the account
// bob is "s2"; it cannot look up "broken".
const checker = `got=$(cat <&3 | tr '\000' '|')
case $got in
"alice@b.example|secret|"[0-9]*"|") exec "$@" ;;
"bob|s2|"[0-9]*"|") exec "$@" ;;
"nobody@b.example|secret|"*) exec "$@" ;;
"locked@b.example|secret|"*) exec "$@" ;;
"broken@b.example|"*) exit 111 ;;
"misused@b.example|"*) exit 2 ;;
"killed@b.example|"*) kill -9 $$ ;;
"loud@b.example|"*) echo hello; echo hello >&2; exit 1 ;;
esac
exit 1
`

func TestCheckPassword(t *testing.T) {
	rows := []string{"checkpassword:" + script(t, checker) + " ", "alice@b.example:{PLAIN}ignored", "bob@b.example::::::: login=bob"}
	for _, name := range []string{"broken", "misused", "killed", "loud"} {
		rows = append(rows, name+"@b.example:")
	}
	c := settings(t, append(rows, "locked@b.example:!x")...)
	for _, tt := range []struct {
		login, password string
		exit            int
	}{
		{"alice@b.example", "secret", 0},
		{"ALICE@b.example", "secret", 0},
		{"bob@b.example", "s2", 0},
		{"alice@b.example", "ignored", status.NotAllowed},
		{"alice@b.example", "", status.NotAllowed},
		{"alice@b.example", "secret\x00", status.NotAllowed},
		{"alice@b.example", strings.Repeat("x", 600), status.NotAllowed},
		{"nobody@b.example", "secret", status.NotAllowed}, // no row: no mailbox
		{"locked@b.example", "secret", status.NotAllowed},
		{"loud@b.example", "x", status.NotAllowed},
		{"broken@b.example", "x", status.TempFail},
		{"misused@b.example", "x", status.TempFail},
		{"killed@b.example", "x", status.TempFail},
	} {
		u, err := Check(c, tt.login, tt.password)
		if status.Exit(err) != tt.exit || (u != nil) != (tt.exit == 0) {
			t.Errorf("%s %.20q: %v, %v", tt.login, tt.password, u, err)
		}
	}
	if p, err := PolicyOf(c); err != nil || p.Scram {
		t.Error("SCRAM with checkpassword", err)
	}
	users := &Users{Control: c}
	if k, err := users.Keys(context.Background(), "alice@b.example"); err != nil || len(k.Salt) != scramSalt {
		t.Error(k, err)
	}
}

func TestCheckPasswordMissing(t *testing.T) {
	c := settings(t, "checkpassword:/nowhere/checkpassword", "alice@b.example:")
	if _, err := Check(c, "alice@b.example", "x"); status.Exit(err) != status.TempFail {
		t.Error(err)
	}
}

// Passwords of users that a program looks up.
func TestExecUsers(t *testing.T) {
	c := settings(t, "once:"+script(t, `case $1 in
alice@b.example) echo 'alice@b.example:{PLAIN}secret::::mail/a::' ;;
busy@b.example) exit 75 ;;
*) exit 67 ;;
esac
`))
	for _, tt := range []struct {
		login, password string
		exit            int
	}{
		{"alice@b.example", "secret", 0}, {"alice@b.example", "wrong", status.NotAllowed},
		{"nobody@b.example", "secret", status.NotAllowed}, {"alice", "secret", status.NotAllowed},
		{"busy@b.example", "x", status.TempFail},
	} {
		if _, err := Check(c, tt.login, tt.password); status.Exit(err) != tt.exit {
			t.Errorf("%s %s: %v", tt.login, tt.password, err)
		}
	}
}

// The hashes are made by openssl during the test.
func TestOpenSSLHashes(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	for _, kind := range []string{"-1", "-5", "-6"} {
		out, err := exec.Command("openssl", "passwd", kind, "pa ss'wörd").Output()
		if err != nil {
			t.Fatal(err)
		}
		c := settings(t, "a@b.example:"+strings.TrimSpace(string(out)))
		if _, err := Check(c, "a@b.example", "pa ss'wörd"); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		wantRefused(t, c, "a@b.example", "pa ss'word")
	}
}
