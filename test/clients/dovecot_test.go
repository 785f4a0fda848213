package clients

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"paperpath/test/harness"
)

// dovecotPOP3 is Dovecot's session, for a user that is logged in already.
const dovecotPOP3 = "/usr/lib/dovecot/pop3"

var sizesInName = regexp.MustCompile(`,[SW]=\d+`)

// A session leaves a mailbox as Dovecot's leaves it: what is in new/ and what
// in cur/, with which flags.
func TestLeavesTheMailboxAsDovecot(t *testing.T) {
	need(t, dovecotPOP3)
	for name, commands := range map[string]string{
		"nothing asked for":  "QUIT\r\n",
		"listed":             "STAT\r\nLIST\r\nUIDL\r\nQUIT\r\n",
		"fetched":            "RETR 1\r\nTOP 2 0\r\nDELE 3\r\nQUIT\r\n",
		"all fetched":        "RETR 1\r\nRETR 2\r\nRETR 3\r\nRETR 4\r\nRETR 5\r\nQUIT\r\n",
		"deleted and back":   "RETR 1\r\nDELE 1\r\nRSET\r\nDELE 4\r\nQUIT\r\n",
		"cut off":            "LIST\r\nRETR 1\r\nRETR 4\r\nDELE 2\r\n",
		"fetched to be gone": "RETR 5\r\nDELE 5\r\nQUIT\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, "")
			ours, theirs := s.Mailbox("alice"), filepath.Join(s.dir, "dovecot", "Maildir")
			s.twoMailboxes(ours, theirs)
			in := "USER alice\r\nPASS " + harness.Password + "\r\n" + commands
			if _, err := programs.Must(s.Home.Dir, strings.NewReader(in), "pop3d"); err != nil {
				t.Fatal(err)
			}
			s.dovecot(theirs, commands)
			if got, want := state(t, ours), state(t, theirs); got != want {
				t.Errorf("we leave\n%s\nDovecot leaves\n%s", got, want)
			}
		})
	}
}

func (s *site) twoMailboxes(paths ...string) {
	s.t.Helper()
	for _, path := range paths {
		for _, sub := range []string{"tmp", "new", "cur"} {
			if err := os.MkdirAll(filepath.Join(path, sub), 0o700); err != nil {
				s.t.Fatal(err)
			}
		}
		for _, name := range []string{"new/1.a", "new/2.a,S=14,W=17", "new/3.a", "cur/4.a:2,F", "cur/5.a:2,S"} {
			if err := os.WriteFile(filepath.Join(path, name), []byte("Subject: x\n\nx\n"), 0o600); err != nil {
				s.t.Fatal(err)
			}
		}
	}
}

// dovecot holds a session by Dovecot over the Maildir and returns what it said.
func (s *site) dovecot(path, commands string) string {
	s.t.Helper()
	dir := filepath.Dir(path)
	conf := filepath.Join(dir, "dovecot.conf")
	text := fmt.Sprintf("base_dir = %s/run\nmail_location = maildir:%s\nfirst_valid_uid = 1\nlog_path = %s/log\nssl = no\nprotocols = pop3\n", dir, path, dir)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, dovecotPOP3, "-c", conf)
	cmd.Env = []string{"HOME=" + dir, "USER=alice", "PATH=" + os.Getenv("PATH")}
	cmd.Stdin = strings.NewReader(commands)
	if os.Geteuid() == 0 { // Dovecot serves no root
		for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
			if err := os.Chmod(d, 0o755); err != nil {
				s.t.Fatal(err)
			}
		}
		chown(s.t, dir, ownerUID)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: ownerUID, Gid: ownerUID}}
	}
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Contains(string(out), "-ERR") {
		s.t.Fatalf("dovecot: %v\n%s", err, out)
	}
	return string(out)
}

// Two files of one key are two messages to Dovecot too, before our session and
// behind it, and it leaves the keys that our session gave.
func TestFilesOfOneKeyBesideDovecot(t *testing.T) {
	need(t, dovecotPOP3)
	s := newSite(t, "")
	ours, theirs := s.Mailbox("alice"), filepath.Join(s.dir, "dovecot", "Maildir")
	s.twoMailboxes(theirs)
	for name, text := range map[string]string{"new/6.k,S=2,W=3": "a\n", "new/6.k,S=3,W=4": "bb\n", "cur/6.k,S=4,W=5:2,S": "ccc\n"} {
		if err := os.WriteFile(filepath.Join(theirs, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	copied := func(from, to string) {
		t.Helper()
		if err := os.RemoveAll(to); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	session := func() string {
		t.Helper()
		copied(theirs, ours)
		chown(t, ours, os.Geteuid())
		in := "USER alice\r\nPASS " + harness.Password + "\r\nUIDL\r\nQUIT\r\n"
		out, err := programs.Must(s.Home.Dir, strings.NewReader(in), "pop3d")
		if err != nil {
			t.Fatal(err)
		}
		copied(ours, theirs)
		var ids []string
		for _, line := range strings.Split(string(out), "\r\n") {
			if n, id, _ := strings.Cut(line, " "); strings.Trim(n, "0123456789") == "" {
				ids = append(ids, id)
			}
		}
		slices.Sort(ids)
		return strings.Join(ids, " ")
	}
	if out := s.dovecot(theirs, "STAT\r\nQUIT\r\n"); !strings.Contains(out, "+OK 8 ") { // it has an index from here on
		t.Fatalf("dovecot: %s", out)
	}
	first := session()
	before := state(t, theirs)
	if out := s.dovecot(theirs, "STAT\r\nRETR 1\r\nRETR 2\r\nRETR 3\r\nRETR 4\r\nRETR 5\r\nRETR 6\r\nRETR 7\r\nRETR 8\r\n"); !strings.Contains(out, "+OK 8 ") ||
		!strings.Contains(out, "\na\r\n") || !strings.Contains(out, "\nbb\r\n") || !strings.Contains(out, "\nccc\r\n") {
		t.Errorf("dovecot: %s", out)
	}
	if after := state(t, theirs); after != before {
		t.Errorf("our session left\n%s\nand Dovecot's\n%s", before, after)
	}
	if again := session(); again != first || strings.Count(" "+again+" ", " 6.k ") != 1 {
		t.Errorf("the ids were\n%s\nand are\n%s", first, again)
	}
}

// state is the names in new/ and cur/, but for the sizes in them.
func state(t *testing.T, path string) string {
	t.Helper()
	var all []string
	for _, sub := range []string{"new", "cur"} {
		entries, err := os.ReadDir(filepath.Join(path, sub))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			all = append(all, sub+"/"+sizesInName.ReplaceAllString(e.Name(), ""))
		}
	}
	return strings.Join(all, "\n")
}
