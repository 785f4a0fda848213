package mailctl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/auth"
	"paperpath/internal/control"
	"paperpath/internal/status"
)

func usersOf(home string) (Users, *bytes.Buffer) {
	var out bytes.Buffer
	return Users{Home: home, Control: control.Open(home, time.Now), Out: &out, Notes: &out}, &out
}

// says returns a password that is asked for once.
func says(text string) func() (string, error) {
	return func() (string, error) { return text, nil }
}

func TestUserLife(t *testing.T) {
	home := newHome(t)
	u, out := usersOf(home)
	if err := u.Add("Alice@Example.org", "", says("secret one")); err != nil {
		t.Fatal(err)
	}
	if err := u.Add("bob@b.example", "PLAIN", says("x")); err != nil {
		t.Fatal(err)
	}
	maildirs := filepath.Join(home, "mail", "example.org", "alice", "Maildir")
	if !exists(filepath.Join(maildirs, "new")) {
		t.Error("no Maildir")
	}
	got, err := auth.Check(u.Control, "alice@example.org", "secret one")
	if err != nil || filepath.Join(got.Home, "Maildir") != maildirs || !strings.HasPrefix(got.Hash, "{SHA512-CRYPT}$6$") {
		t.Fatal(got, err)
	}
	if err := u.Passwd("alice@example.org", "BLF-CRYPT", says("secret two")); err != nil {
		t.Fatal(err)
	}
	if _, err := auth.Check(u.Control, "alice@example.org", "secret two"); err != nil {
		t.Error(err)
	}
	if err := u.List(); err != nil || out.String() != "Alice@Example.org  mail/example.org/alice\nbob@b.example      mail/b.example/bob\n" {
		t.Errorf("%q %v", out, err)
	}
	if err := u.Del("ALICE@example.org", false); err != nil || !exists(maildirs) {
		t.Error("the mail went", err)
	}
	if err := u.Add("alice@example.org", "PLAIN", says("x")); err != nil || !strings.Contains(out.String(), "exists already") {
		t.Error(err, out)
	}
	if err := u.Del("alice@example.org", true); err != nil || exists(filepath.Dir(maildirs)) {
		t.Error("the mail stays", err)
	}
	if !exists(filepath.Join(home, "mail", "b.example", "bob", "Maildir")) {
		t.Error("another user's mail went")
	}
}

func TestUserRefused(t *testing.T) {
	home := newHome(t)
	u, _ := usersOf(home)
	if err := u.Add("alice@example.org", "PLAIN", says("x")); err != nil {
		t.Fatal(err)
	}
	before := tree(t, home)
	never := func() (string, error) { t.Error("the password was asked for"); return "", nil }
	tests := []struct {
		err  error
		exit int
		want string
	}{
		{u.Add("alice@example.ORG", "", never), status.Refused, "is already in control/users:1"},
		{u.Add("a@elsewhere.example", "", never), status.Refused, "elsewhere.example is not in control/domains (echo elsewhere.example >>"},
		{u.Add("alice", "", never), status.Refused, "has no @domain"},
		{u.Add("../../x@example.org", "", never), status.Refused, "cannot be a directory name"},
		{u.Add("a/b@example.org", "", never), status.Refused, "cannot be a directory name"},
		{u.Add("#x@example.org", "", never), status.Refused, "cannot be a directory name"},
		{u.Add(".a@example.org", "", never), status.Refused, "cannot be a directory name"},
		{u.Add("a\x1bb@example.org", "", never), status.Refused, "directory name"},
		{u.Add("\"a b\"@example.org", "", never), status.Refused, "cannot be a directory name"},
		{u.Add("carol@example.org", "", says("")), status.Usage, "the password is empty"},
		{u.Add("carol@example.org", "ROT13", says("x")), status.Usage, "unknown password scheme"},
		{u.Add("carol@example.org", "", func() (string, error) { return "", errors.New("no tty") }), status.TempFail, "no tty"},
		{u.Passwd("carol@example.org", "", never), status.NoMailbox, "there is no user"},
		{u.Del("carol@example.org", false), status.NoMailbox, "there is no user"},
		{u.Del("carol@example.org", true), status.NoMailbox, "there is no user"},
	}
	for _, tt := range tests {
		if tt.err == nil || status.Exit(tt.err) != tt.exit || !strings.Contains(tt.err.Error(), tt.want) {
			t.Errorf("%v, exit %d; want %q, %d", tt.err, status.Exit(tt.err), tt.want, tt.exit)
		}
	}
	after := tree(t, home)
	for name, what := range after {
		if before[name] != what {
			t.Errorf("%s changed", name)
		}
	}
}

func TestPurgeRefused(t *testing.T) {
	home := newHome(t)
	rows := "a@example.org:*::::/srv/a::\nb@example.org:*::::mail::\nc@example.org:*::::mail/example.org::\n" +
		"d@example.org:*::::mail/example.org/d::\ne@example.org:*::::mail/example.org/e::\nf@example.org:*::::mail/example.org/e/f::\n"
	if err := os.WriteFile(filepath.Join(home, "control", "users"), []byte(rows), 0o600); err != nil {
		t.Fatal(err)
	}
	u, _ := usersOf(home)
	for _, user := range []string{"a", "b", "c", "d", "e", "f"} {
		if err := u.Del(user+"@example.org", true); status.Exit(err) != status.Refused {
			t.Errorf("%s: %v", user, err)
		}
	}
	if text, _ := os.ReadFile(filepath.Join(home, "control", "users")); string(text) != rows {
		t.Errorf("users %q", text)
	}
}

// A directory that belongs to one user alone, but is not mail/DOMAIN/USER, stays too.
func TestPurgeRefusedForParents(t *testing.T) {
	for _, field := range []string{"/srv/a", "mail", "mail/example.org", "spool/route", "control"} {
		home := newHome(t)
		row := "a@example.org:*::::" + field + "::\n"
		if err := os.WriteFile(filepath.Join(home, "control", "users"), []byte(row), 0o600); err != nil {
			t.Fatal(err)
		}
		u, _ := usersOf(home)
		if err := u.Del("a@example.org", true); status.Exit(err) != status.Refused || !strings.Contains(err.Error(), "is not a directory mail/DOMAIN/USER") {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestUserNeedsHome(t *testing.T) {
	for _, part := range []string{"spool", "mail"} {
		home := newHome(t)
		os.Remove(filepath.Join(home, part, ".paperpath"))
		u, _ := usersOf(home)
		for _, err := range []error{u.Add("a@example.org", "PLAIN", says("x")), u.Passwd("a@example.org", "", says("x")),
			u.Del("a@example.org", false), u.List()} {
			if status.Exit(err) != status.TempFail || !strings.Contains(err.Error(), filepath.Join(home, part)) {
				t.Error(err)
			}
		}
	}
}

func TestPasswordLine(t *testing.T) {
	for in, want := range map[string]string{"secret\n": "secret", "secret": "secret", " a b \r\n": " a b ", "": "", "\n": ""} {
		if got, err := PasswordLine(strings.NewReader(in)); got != want || err != nil {
			t.Errorf("%q: %q %v", in, got, err)
		}
	}
	for _, in := range []string{"a\nb\n", "a\n\n", strings.Repeat("x", 5000)} {
		if _, err := PasswordLine(strings.NewReader(in)); status.Exit(err) != status.Usage {
			t.Errorf("%.10q: %v", in, err)
		}
	}
}

// terminal returns both ends of a pseudo terminal.
func terminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo terminals:", err)
	}
	t.Cleanup(func() { person.Close() })
	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	return person, program
}

// await reads what the program writes until text appears.
func await(t *testing.T, person *os.File, text string) string {
	t.Helper()
	var got []byte
	for !strings.Contains(string(got), text) {
		buf := make([]byte, 100)
		n, err := person.Read(buf)
		if err != nil {
			t.Fatalf("%v after %q", err, got)
		}
		got = append(got, buf[:n]...)
	}
	return string(got)
}

func TestPasswordPrompt(t *testing.T) {
	person, prog := terminal(t)
	type result struct {
		text string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		text, err := PasswordPrompt(t.Context(), prog, prog, "bob@example.org")
		done <- result{text, err}
	}()
	shown := ""
	for _, step := range [][2]string{{"password of bob@example.org: ", "s3cret"}, {"again: ", "0ther"}, {"password of bob@example.org: ", "s3cret"}, {"again: ", "s3cret"}} {
		shown += await(t, person, step[0])
		person.WriteString(step[1] + "\n")
	}
	if r := <-done; r.text != "s3cret" || r.err != nil {
		t.Error(r)
	}
	if strings.Contains(shown, "s3cret") || strings.Contains(shown, "0ther") || !strings.Contains(shown, "the passwords differ") {
		t.Errorf("the terminal shows %q", shown)
	}
}

// After an interrupt at the prompt, the terminal echoes again.
func TestPasswordPromptInterrupted(t *testing.T) {
	person, prog := terminal(t)
	ctx, interrupt := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := PasswordPrompt(ctx, prog, prog, "bob@example.org")
		done <- err
	}()
	await(t, person, "password of bob@example.org: ")
	interrupt()
	if err := <-done; status.Exit(err) != status.TempFail {
		t.Error(err)
	}
	settings, err := unix.IoctlGetTermios(int(prog.Fd()), unix.TCGETS)
	if err != nil || settings.Lflag&unix.ECHO == 0 {
		t.Error("no echo", err)
	}
	person.WriteString("x\nx\n") // unblocks the reader
}

func TestPasswordPromptNeedsTerminal(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if _, err := PasswordPrompt(t.Context(), null, os.Stderr, "bob@example.org"); status.Exit(err) != status.Usage {
		t.Error(err)
	}
}
