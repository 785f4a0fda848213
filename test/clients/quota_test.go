package clients

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"paperpath/test/harness"
)

// quotaConf has Dovecot keep the quota of a row `*:storage=100k`, without the trash, as we do.
const quotaConf = "mail_plugins = quota\nplugin {\n quota = maildir:User quota\n quota_rule = *:storage=100k\n quota_rule2 = Trash:ignore\n quota_grace = 0\n}\n"

// Dovecot and our programs keep the same maildirsize: at each step it says what is there,
// whoever delivered, deleted or counted.
func TestQuotaBesideDovecot(t *testing.T) {
	const lda = "/usr/lib/dovecot/dovecot-lda"
	need(t, dovecotPOP3)
	need(t, lda)
	s := newSite(t, "")
	s.limit100k()
	ours, theirs := s.Mailbox("alice"), filepath.Join(s.dir, "dovecot", "Maildir")
	both := quotaPair{t: t, s: s, ours: ours, theirs: theirs}
	both.deliver(10)
	both.deliver(20)
	both.check("our deliveries", "102400S")
	both.dovecot(dovecotPOP3, "DELE 1\r\nQUIT\r\n")
	both.check("a deletion by Dovecot", "102400S")
	both.dovecot(lda, "Subject: x\n\n"+strings.Repeat("y", 5000)+"\n")
	both.check("a delivery by Dovecot", "102400S")
	both.pop3d("DELE 1\r\nQUIT\r\n")
	both.check("a deletion by pop3d", "102400S")
	if err := os.Remove(filepath.Join(ours, "maildirsize")); err != nil {
		t.Fatal(err)
	}
	both.dovecot(lda, "Subject: x\n\nz\n")
	both.check("a count by Dovecot", "102400S")
	if err := os.Remove(filepath.Join(ours, "maildirsize")); err != nil {
		t.Fatal(err)
	}
	both.deliver(30)
	both.check("a count by us", "102400S")
	// It is full for both of them.
	both.deliver(90000)
	if _, err := programs.Must(s.Home.Dir, strings.NewReader(letterOf(9000)), "maildeliver", "-d", "alice"); err == nil {
		t.Error("we deliver into a full mailbox")
	}
	if out := both.run(lda, letterOf(9000)); !strings.Contains(out, "uota exceeded") {
		t.Errorf("dovecot-lda: %s", out)
	}
	both.check("both have refused", "102400S")
}

// limit100k gives alice a quota that Dovecot reads in the same row.
func (s *site) limit100k() {
	s.t.Helper()
	users := filepath.Join(s.Home.Dir, "control", "users")
	text, err := os.ReadFile(users)
	if err != nil {
		s.t.Fatal(err)
	}
	var rows string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "alice@") {
			fields := strings.Split(line, ":")
			line = fields[0] + ":" + fields[1] + "::::::userdb_quota_rule=*:storage=100k\n"
		}
		rows += line
	}
	if err := os.WriteFile(users, []byte(rows), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// All of them change the same maildirsize at the same time, and in the end it says what is there.
func TestQuotaTogether(t *testing.T) {
	const lda = "/usr/lib/dovecot/dovecot-lda"
	need(t, dovecotPOP3)
	need(t, lda)
	s := newSite(t, "")
	s.limit100k()
	if os.Geteuid() == 0 { // Dovecot serves no root
		if err := os.Chmod(filepath.Dir(s.dir), 0o755); err != nil {
			t.Fatal(err)
		}
		chown(t, s.Home.Dir, ownerUID)
	}
	box := s.Mailbox("alice")
	q := quotaPair{t: t, s: s, ours: box, theirs: box}
	for range 10 {
		q.deliver(100)
	}
	var work sync.WaitGroup
	for range 3 {
		work.Go(func() {
			for n := range 8 {
				if out, err := programs.Must(s.Home.Dir, strings.NewReader(letterOf(100+n)), "maildeliver", "-d", "alice"); err != nil {
					t.Errorf("%v\n%s", err, out)
				}
			}
		})
	}
	work.Go(func() {
		for n := range 12 {
			if out := q.place(lda, letterOf(200+n)); strings.Contains(out, "rror") {
				t.Errorf("dovecot-lda: %s", out)
			}
		}
	})
	work.Go(func() {
		for range 6 { // who comes while another session has the mailbox hears so
			in := "USER alice\r\nPASS " + harness.Password + "\r\nDELE 1\r\nQUIT\r\n"
			if out, err := programs.Must(s.Home.Dir, strings.NewReader(in), "pop3d"); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		}
	})
	work.Wait()
	q.check("all at once", "102400S")
	if n := len(s.Home.Glob("mail/*/alice/Maildir/*/*")); n != 10+24+12-6 {
		t.Errorf("%d messages, want %d", n, 10+24+12-6)
	}
}

// quotaPair is alice's mailbox, copied to and fro: Dovecot serves no root, and nobody else's
// directories.
type quotaPair struct {
	t            *testing.T
	s            *site
	ours, theirs string
}

func letterOf(octets int) string { return "Subject: x\n\n" + strings.Repeat("x", octets) + "\n" }

func (q quotaPair) deliver(octets int) {
	q.t.Helper()
	if out, err := programs.Must(q.s.Home.Dir, strings.NewReader(letterOf(octets)), "maildeliver", "-d", "alice"); err != nil {
		q.t.Fatalf("%v\n%s", err, out)
	}
}

func (q quotaPair) pop3d(commands string) {
	q.t.Helper()
	in := "USER alice\r\nPASS " + harness.Password + "\r\n" + commands
	if out, err := programs.Must(q.s.Home.Dir, strings.NewReader(in), "pop3d"); err != nil || strings.Contains(string(out), "-ERR") {
		q.t.Fatalf("%v\n%s", err, out)
	}
}

// dovecot has a program of Dovecot work on the mailbox.
func (q quotaPair) dovecot(program, in string) {
	q.t.Helper()
	if out := q.run(program, in); strings.Contains(out, "-ERR") || strings.Contains(out, "Error") {
		q.t.Fatalf("%s: %s", program, out)
	}
}

func (q quotaPair) run(program, in string) string {
	q.t.Helper()
	q.copy(q.ours, q.theirs)
	defer q.copy(q.theirs, q.ours)
	return q.place(program, in)
}

// place has a program of Dovecot work on the mailbox where it is.
func (q quotaPair) place(program, in string) string {
	q.t.Helper()
	dir := filepath.Join(q.s.dir, "dovecot")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		q.t.Fatal(err)
	}
	conf := fmt.Sprintf("base_dir = %s/run\nmail_location = maildir:%s\nfirst_valid_uid = 1\nlog_path = /dev/stderr\nssl = no\n"+
		"protocols = pop3\npostmaster_address = p@example.net\n%s", dir, q.theirs, quotaConf)
	if err := os.WriteFile(filepath.Join(dir, "dovecot.conf"), []byte(conf), 0o644); err != nil {
		q.t.Fatal(err)
	}
	cmd := exec.Command(program, "-c", filepath.Join(dir, "dovecot.conf"))
	cmd.Env = []string{"HOME=" + dir, "USER=alice", "PATH=" + os.Getenv("PATH")}
	cmd.Stdin = strings.NewReader(in)
	if os.Geteuid() == 0 {
		for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
			if err := os.Chmod(d, 0o755); err != nil {
				q.t.Fatal(err)
			}
		}
		chown(q.t, dir, ownerUID)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: ownerUID, Gid: ownerUID}}
	}
	out, _ := cmd.CombinedOutput()
	return string(out)
}

func (q quotaPair) copy(from, to string) {
	q.t.Helper()
	if err := os.RemoveAll(to); err != nil {
		q.t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		q.t.Fatal(err)
	}
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		q.t.Fatalf("%v: %s", err, out)
	}
	if to == q.ours {
		chown(q.t, to, os.Geteuid())
	}
}

// check compares maildirsize with the files.
func (q quotaPair) check(after, limit string) {
	q.t.Helper()
	text, err := os.ReadFile(filepath.Join(q.ours, "maildirsize"))
	if err != nil {
		q.t.Fatal(err)
	}
	head, rest, _ := strings.Cut(string(text), "\n")
	var octets, messages int64
	for line := range strings.Lines(rest) {
		var a, b int64
		if _, err := fmt.Sscan(line, &a, &b); err != nil {
			q.t.Fatalf("%s: %q: %v", after, line, err)
		}
		octets, messages = octets+a, messages+b
	}
	var there, files int64
	for _, sub := range []string{"new", "cur"} {
		list, err := os.ReadDir(filepath.Join(q.ours, sub))
		if err != nil {
			q.t.Fatal(err)
		}
		for _, f := range list {
			st, err := f.Info()
			if err != nil {
				q.t.Fatal(err)
			}
			there, files = there+st.Size(), files+1
		}
	}
	if head != limit || octets != there || messages != files || files == 0 {
		q.t.Errorf("after %s maildirsize says\n%sand there are %d octets in %d files", after, text, there, files)
	}
}
