package pop3serve

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/pop3"
	"paperpath/internal/status"
)

// testHome makes a home with two domains and the user alice in each; a file with the
// text "absent" is left out.
func testHome(t *testing.T, files map[string]string) *control.Control {
	t.Helper()
	home := t.TempDir()
	old := time.Now().Add(-time.Hour)
	all := map[string]string{"control/hostname": "mx.example.net\n", "control/domains": "example.net\nexample.org\n",
		"control/users": "alice@example.net:{PLAIN}first\nalice@example.org:{PLAIN}second::::mail/elsewhere:\n", "mail/.paperpath": ""}
	for name, text := range files {
		all[name] = text
	}
	for name, text := range all {
		path := filepath.Join(home, name)
		if text == "absent" {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, old, old); err != nil { // past the quiet second
			t.Fatal(err)
		}
	}
	return control.Open(home, time.Now)
}

// logIn logs in by password.
func logIn(c *control.Control, login, password string) (pop3.Account, error) {
	users := newAccounts(c, nil, "")
	if err := users.Password(context.Background(), login, password); err != nil {
		return pop3.Account{}, err
	}
	return users.Account(login)
}

func TestAccounts(t *testing.T) {
	const ok, wrong, trouble = 0, status.NotAllowed, status.TempFail
	broken := map[string]string{"control/users": "no colon\n"}
	for _, row := range []struct {
		login, password string
		files           map[string]string
		exit            int
		maildir         string
	}{
		{"alice@example.net", "first", nil, ok, "mail/example.net/alice/Maildir"},
		{"Alice@EXAMPLE.net", "first", nil, ok, "mail/example.net/alice/Maildir"},
		{"alice", "first", nil, ok, "mail/example.net/alice/Maildir"}, // the first domain
		{"alice@example.org", "second", nil, ok, "mail/elsewhere/Maildir"},
		{"alice", "second", nil, wrong, ""},
		{"alice@example.net", "", nil, wrong, ""},
		{"bob", "first", nil, wrong, ""},
		{"../../etc", "first", nil, wrong, ""},
		{"@", "first", nil, wrong, ""},
		{"alice@example.net", "first", map[string]string{"mail/.paperpath": "absent"}, trouble, ""},
		{"alice@example.net", "first", broken, trouble, ""},
		{"alice@example.net", "wrong", broken, trouble, ""},
		{"alice", "first", map[string]string{"control/domains": "absent"}, trouble, ""},
		{"alice@example.net", "first", map[string]string{"control/users": "absent"}, trouble, ""},
	} {
		c := testHome(t, row.files)
		account, err := logIn(c, row.login, row.password)
		if status.Exit(err) != row.exit {
			t.Errorf("%s, %s: %v, want exit status %d", row.login, row.password, err, row.exit)
		}
		if want := filepath.Join(c.Home(), row.maildir); err == nil && account.Maildir != want {
			t.Errorf("%s has %s, want %s", row.login, account.Maildir, want)
		}
	}
}

// A process that runs as root does not read what another user owns.
func TestForeignOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	c := testHome(t, nil)
	path := filepath.Join(c.Home(), "mail/example.net/alice/Maildir")
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
	for uid, exit := range map[int]int{0: status.OK, 12345: status.TempFail} {
		if err := os.Chown(path, uid, uid); err != nil {
			t.Fatal(err)
		}
		_, err := logIn(c, "alice", "first")
		if status.Exit(err) != exit {
			t.Errorf("owner %d: %v", uid, err)
		}
	}
}
