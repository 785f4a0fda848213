package control

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/internal/status"
)

// lookup is a program for once:. It notes how often it was asked.
const lookup = `#!/bin/sh
echo "$#:$*" >>%LOG%
case $1 in
alice@example.org) echo 'Alice@example.org:{PLAIN}x:12:34::mail/a::k=v' ;;
other@example.org) echo 'alice@example.org:{PLAIN}x' ;;
two@example.org) echo 'two@example.org:x'; echo 'two@example.org:y' ;;
junk@example.org) echo junk ;;
empty@example.org) ;;
control@example.org) printf 'control@example.org:\033x\n' ;;
long@example.org) head -c 100000 /dev/zero ;;
temp@example.org) exit 75 ;;
odd@example.org) exit 3 ;;
env@example.org) env | grep -q SECRET || echo "env@example.org:$HOME" ;;
session@example.org) set -- $(cut -d")" -f2 /proc/$$/stat); [ "$4" = $$ ] && echo "session@example.org:" || exit 67 ;;
fd@example.org) ls /proc/self/fd | grep -qx 3 && [ ! -L /proc/self/fd/3 ] ; echo "fd@example.org:" ;;
*) exit 67 ;;
esac
`

func execControl(t *testing.T, lines string) (c *Control, log string) {
	t.Helper()
	home := t.TempDir()
	log = filepath.Join(home, "asked")
	program := filepath.Join(home, "lookup")
	if err := os.WriteFile(program, []byte(strings.ReplaceAll(lookup, "%LOG%", log)), 0o700); err != nil {
		t.Fatal(err)
	}
	os.Mkdir(filepath.Join(home, "control"), 0o700)
	users := filepath.Join(home, "control", "users")
	if err := os.WriteFile(users, []byte(strings.ReplaceAll(lines, "%", program)), 0o600); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Minute)
	os.Chtimes(users, old, old)
	return Open(home, time.Now), log
}

func TestExec(t *testing.T) {
	t.Setenv("SECRET", "x")
	c, _ := execControl(t, "# who\nonce:% \n")
	u, err := c.User("ALICE@Example.org")
	if err != nil || u == nil || u.Address != "Alice@example.org" || u.UID != 12 || u.Home != c.home+"/mail/a" || u.Extra["k"] != "v" {
		t.Fatal(u, err)
	}
	if u, err := c.UserNow("alice@example.org"); err != nil || u == nil {
		t.Error(u, err)
	}
	if u, err := c.User("session@example.org"); err != nil || u == nil {
		t.Error("no session of its own", u, err)
	}
	if u, err := c.User("env@example.org"); err != nil || u == nil || u.Hash != "" {
		t.Error(u, err)
	}
	for _, none := range []string{"nobody@example.org", "alice", "", "-x@example.org", "a\n@example.org", `"a b`, "alice@example.org\x00"} {
		if u, err := c.User(none); u != nil || err != nil {
			t.Errorf("%q: %v, %v", none, u, err)
		}
	}
	for _, bad := range []string{"other", "two", "junk", "empty", "control", "long", "temp", "odd"} {
		u, err := c.User(bad + "@example.org")
		if u != nil || status.Exit(err) != status.TempFail || !strings.Contains(err.Error(), "control/users: once:") {
			t.Errorf("%s: %v, %v", bad, u, err)
		}
	}
	if us, err := c.Users(); len(us) != 0 || err != nil {
		t.Error(us, err)
	}
	if err := c.AddUser("bob@example.org", "x", ""); err == nil {
		t.Error("a user was added")
	}
}

// Nothing that a peer says reaches a shell or becomes an option, and an answer stays
// valid for a moment.
func TestExecArguments(t *testing.T) {
	c, log := execControl(t, "once:% -v\n")
	for range 3 {
		c.User("a|touch$ifs/x&`id`@example.org")
		c.User(`"$(id) *"@example.org`)
	}
	c, log2 := execControl(t, "once:%\n")
	for range 3 {
		c.User("alice@example.org")
	}
	got, _ := os.ReadFile(log)
	if want := strings.Repeat("2:-v a|touch$ifs/x&`id`@example.org\n2:-v \"$(id) *\"@example.org\n", 3); string(got) != want {
		t.Errorf("asked %q", got)
	}
	if got, _ = os.ReadFile(log2); string(got) != "1:alice@example.org\n" {
		t.Errorf("asked %q", got)
	}
}

func TestExecLines(t *testing.T) {
	for lines, ok := range map[string]bool{
		"once:%":                               true,
		"once:%\ncheckpassword:%":              true,
		"checkpassword:%\nalice@example.org:":  true,
		"once:%\nonce:%":                       false,
		"once:%\nalice@example.org:x":          false,
		"once:":                                false,
		"once:lookup":                          false,
		"checkpassword:% x\ncheckpassword:% x": false,
		"once:/nowhere/lookup":                 false,
		"checkpassword:/etc":                   false,
	} {
		c, _ := execControl(t, lines+"\n")
		if err := c.checkPrograms(); (err == nil) != ok {
			t.Errorf("%q: %v", lines, err)
		}
	}
}

// A program that does not end is killed, together with what it started.
func TestProgramTime(t *testing.T) {
	const limit = 200 * time.Millisecond // programTime is ten seconds
	start := time.Now()
	_, _, err := Program{"/bin/sh", "-c", "sleep 100 & sleep 100"}.run(t.Context(), running{limit: limit}, nil)
	if took := time.Since(start); err == nil || !strings.Contains(err.Error(), "no answer within 200ms") ||
		took < limit || took > limit+30*time.Second {
		t.Error(err, took)
	}
}
