package clients

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"paperpath/test/harness"
)

// The users of a host on which pop3d is started as root: the owner of the home,
// who has the virtual mailboxes too, and two accounts.
const (
	ownerUID = 61001
	carolUID = 61002
	daveUID  = 61003
)

// rootSite is a home of ownerUID in which carol has a home of her own, dave's
// mailbox belongs to the uid of its row, and erin's is root's.
func rootSite(t *testing.T) *site {
	t.Helper()
	needRoot(t)
	s := newSite(t, "")
	accounts := filepath.Join(s.dir, "accounts")
	for dir := s.dir; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	users, err := os.ReadFile(filepath.Join(s.Home.Dir, "control/users"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(users), alice+":")
	hash, _, _ := strings.Cut(rest, ":")
	rows := string(users) +
		fmt.Sprintf("carol@example.net:%s::::%s/carol::\n", hash, accounts) +
		fmt.Sprintf("dave@example.net:%s:%d:%d::::\n", hash, daveUID, daveUID) +
		fmt.Sprintf("erin@example.net:%s:0:0::::\n", hash)
	if err := os.WriteFile(filepath.Join(s.Home.Dir, "control/users"), []byte(rows), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := s.Home.Still("users"); err != nil {
		t.Fatal(err)
	}
	chown(t, s.Home.Dir, ownerUID)
	for _, box := range []struct {
		path string
		uid  int
	}{{accounts + "/carol", carolUID}, {s.Home.Dir + "/mail/example.net/dave", daveUID},
		{s.Home.Dir + "/mail/example.net/alice", ownerUID}, {s.Home.Dir + "/mail/example.net/erin", 0}} {
		for _, sub := range []string{"tmp", "new", "cur"} {
			if err := os.MkdirAll(box.path+"/Maildir/"+sub, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		for n := range 3 {
			text := fmt.Sprintf("Subject: %d\n\n.dot\n%s\n", n, strings.Repeat("x", 40000))
			if err := os.WriteFile(fmt.Sprintf("%s/Maildir/new/%d.a", box.path, n), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		chown(t, box.path, box.uid)
	}
	for _, dir := range []string{accounts, s.Home.Dir, s.Home.Dir + "/mail", s.Home.Dir + "/mail/example.net"} {
		if err := os.Chmod(dir, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if harness.Missing("root (programs started as root)") {
		t.Fatal("this test needs root")
	}
	t.Skip("this test needs root")
}

func chown(t *testing.T, path string, uid int) {
	t.Helper()
	err := filepath.WalkDir(path, func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(name, uid, uid)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// asRoot starts pop3d --listen as root and returns its process.
func (s *site) asRoot() *os.Process {
	s.t.Helper()
	cmd := exec.Command(programs.Path("pop3d"), "--listen", s.Addr["pop3"], "--listen-tls", s.Addr["pop3s"])
	cmd.Env = programs.Env(s.Home.Dir)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil || errs.Len() > 0 {
			s.t.Errorf("pop3d: %v\n%s", err, &errs)
		}
		if names, _ := filepath.Glob(s.Home.Dir + "/log/*"); len(names) != 1 || ownerOf(s.t, names[0]) != ownerUID {
			s.t.Errorf("logs: %q", names)
		}
	})
	err := harness.Wait("pop3d", time.Minute, func() bool {
		c, err := harness.Dial(s.Addr["pop3"])
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return cmd.Process
}

func ownerOf(t *testing.T, path string) int {
	t.Helper()
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return int(st.Sys().(*syscall.Stat_t).Uid)
}

// sessionsBelow returns the uids of the processes below pid that hold sessions,
// by pid, and sees to it that they have nothing of root.
func sessionsBelow(t *testing.T, pid int) map[int]int {
	t.Helper()
	found := map[int]int{}
	for _, child := range harness.Descendants(pid) {
		args, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", child))
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", child))
		if !bytes.Contains(args, []byte("\x00session\x00")) {
			continue
		}
		for _, line := range strings.Split(string(status), "\n") {
			f := strings.Fields(line)
			switch {
			case len(f) == 5 && (f[0] == "Uid:" || f[0] == "Gid:"):
				uid, _ := strconv.Atoi(f[1])
				if f[1] != f[2] || f[1] != f[3] || f[1] != f[4] || uid == 0 {
					t.Errorf("session has %q", line)
				}
				found[child] = uid
			case len(f) > 1 && f[0] == "Groups:" && f[1] == "0":
				t.Errorf("session has %q", line)
			case len(f) == 2 && (f[0] == "CapEff:" || f[0] == "CapPrm:" || f[0] == "CapAmb:") && strings.Trim(f[1], "0") != "":
				t.Errorf("session has %q", line)
			}
		}
	}
	return found
}

func (s *site) login(user string) *harness.Conversation {
	s.t.Helper()
	c, err := harness.Dial(s.Addr["pop3"])
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	s.say(c, "", "+OK")
	s.say(c, "USER "+user, "+OK")
	return c
}

func (s *site) say(c *harness.Conversation, command, want string) {
	s.t.Helper()
	if command != "" {
		if err := c.Send("%s", command); err != nil {
			s.t.Fatal(err)
		}
	}
	if line, err := c.Line(); err != nil || !strings.HasPrefix(line, want) {
		s.t.Fatalf("%q is answered %q, %v; want %q\n%s", command, line, err, want, s.Describe())
	}
}

// Started as root, pop3d holds each session of an account as that account, and
// those of virtual users in one process; nothing is ever served as root.
func TestAsRoot(t *testing.T) {
	s := rootSite(t)
	p := s.asRoot()
	pass := "PASS " + harness.Password

	c := s.login("alice")
	s.say(c, pass, "+OK 3 messages")
	if all := sessionsBelow(t, p.Pid); len(all) != 0 {
		t.Errorf("a virtual user has a process: %v", all)
	}
	s.say(c, "QUIT", "+OK")

	for user, uid := range map[string]int{"carol": carolUID, "dave": daveUID} {
		c := s.login(user)
		s.say(c, pass, "+OK 3 messages")
		for _, got := range sessionsBelow(t, p.Pid) {
			if got != uid {
				t.Errorf("%s is served as %d", user, got)
			}
		}
		if len(sessionsBelow(t, p.Pid)) != 1 {
			t.Errorf("%s has no process", user)
		}
		other := s.login(user)
		s.say(other, pass, "-ERR [IN-USE]")
		s.say(other, "USER "+user+"@example.net+Nope", "+OK")
		s.say(other, pass, "-ERR no such folder")
		s.say(other, "QUIT", "+OK")
		s.say(c, "DELE 2", "+OK")
		s.say(c, "QUIT", "+OK")
	}

	c = s.login("erin")
	s.say(c, pass, "-ERR [SYS/PERM]")
	s.say(c, "QUIT", "+OK")
	c = s.login("carol")
	s.say(c, "PASS wrong", "-ERR [AUTH]")
	s.say(c, "USER carol", "+OK")
	s.say(c, pass, "+OK 2 messages")

	// A session that dies frees the mailbox, and the client is hung up on.
	for pid := range sessionsBelow(t, p.Pid) {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	if line, err := c.Line(); err != io.EOF {
		t.Errorf("after its session died the client gets %q, %v", line, err)
	}
	for _, user := range []string{"carol", "dave"} {
		all, err := harness.Pop(s.Addr["pop3"], user, harness.Password, true)
		if err != nil || len(all) != 2 || all[0].Octets != 40022 || !bytes.HasSuffix(all[1].Data, []byte("x\n")) {
			t.Errorf("%s: %d messages, %v", user, len(all), err)
		}
	}
	if len(s.Events("event=fetched", "login=carol@example.net", "deleted=2")) != 1 {
		t.Errorf("events:\n%s", s.Describe())
	}
	over, err := tls.Dial("tcp", s.Addr["pop3s"], &tls.Config{InsecureSkipVerify: true}) // the test's own certificate
	if err != nil {
		t.Fatal(err)
	}
	defer over.Close()
	keep := func(harness.Fetched) bool { return false }
	if all, err := harness.Converse(over).Fetch("carol", harness.Password, keep); err != nil || len(all) != 0 {
		t.Errorf("over TLS: %d messages, %v", len(all), err)
	}
}

// The same below inetd, and `pop3d expire`.
func TestAsRootOnStandardInput(t *testing.T) {
	s := rootSite(t)
	if err := s.Set("undelete", "1d"); err != nil {
		t.Fatal(err)
	}
	in := "USER dave\r\nPASS " + harness.Password + "\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n"
	out, err := programs.Must(s.Home.Dir, strings.NewReader(in), "pop3d")
	if err != nil || !strings.HasSuffix(out, "xxx\r\n.\r\n+OK message 1 will be deleted\r\n+OK goodbye\r\n") {
		t.Fatalf("%v: %.300q ... %.100q\n%s", err, out, out[max(0, len(out)-100):], s.Describe())
	}
	trash, _ := filepath.Glob(s.Mailbox("dave") + "/.Trash/cur/*")
	if len(trash) != 1 || ownerOf(t, trash[0]) != daveUID || ownerOf(t, s.Mailbox("dave")+"/.Trash") != daveUID {
		t.Fatalf("trash holds %q", trash)
	}
	// As if it had been deleted yesterday.
	name, _, _ := strings.Cut(trash[0], ",P=")
	if err := os.Rename(trash[0], fmt.Sprintf("%s,P=%d:2,", name, time.Now().Add(-25*time.Hour).Unix())); err != nil {
		t.Fatal(err)
	}
	if r, err := programs.Run(s.Home.Dir, nil, "pop3d", "expire"); err != nil || r.Status != 75 { // erin is root
		t.Errorf("%+v, %v", r, err)
	}
	if len(s.Events("event=trouble", "the mailbox belongs to root")) != 1 || len(s.Events("event=expired", "dave")) != 1 {
		t.Errorf("events:\n%s", s.Describe())
	}
	if left, _ := filepath.Glob(s.Mailbox("dave") + "/.Trash/cur/*"); len(left) != 0 {
		t.Errorf("trash holds %q\n%s", left, s.Describe())
	}
	if usage, err := programs.Run(s.Home.Dir, nil, "pop3d", "--no-such-option"); err != nil || usage.Status != 64 {
		t.Errorf("%+v, %v", usage, err)
	}
	if usage, err := programs.Run(s.Home.Dir, nil, "pop3d", "session"); err != nil || usage.Status != 64 {
		t.Errorf("%+v, %v", usage, err)
	}
}
