package clients

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	gomaildir "github.com/emersion/go-maildir"

	"paperpath/test/harness"
)

// besideTime is how long all programs work on one mailbox, and besideOnce how often each must
// have done its work at least, however long that takes.
const (
	besideTime = 5 * time.Second
	besideOnce = 2
)

// Programs of others read, flag, copy and deliver in alice's mailbox while maildeliver delivers
// into it and pop3d serves it: no message is lost or doubled, and no flag goes.
func TestMaildirBesideOthers(t *testing.T) {
	for _, name := range []string{"mutt", "script", "mdeliver", "mflag", "mlist", "mbsync", "doveadm"} {
		need(t, name)
	}
	b := newBeside(t)
	b.seed(20)
	b.all(map[string]func(i int) error{
		"maildeliver": func(i int) error { return b.send(i, "ours", programs.Path("maildeliver"), "-d", "alice") },
		"pop3d":       b.pop3d,
		"go-maildir":  b.goMaildir,
		"go-maildir, walking": func(int) error {
			return gomaildir.Dir(b.box).Walk(func(*gomaildir.Message) error { return nil })
		},
		"doveadm":  func(int) error { return b.as("", "doveadm", "-c", b.conf, "flags", "add", `\Answered`, "all") },
		"mdeliver": func(i int) error { return b.send(i, "mblaze", "mdeliver", b.box) },
		"mflag":    func(int) error { return b.as("", "/bin/sh", "-c", "mlist '"+b.box+"' | mflag -F") },
		"mbsync":   func(int) error { return b.as("", "mbsync", "-c", b.file("mbsyncrc"), "-a") },
		"mutt": func(int) error {
			// Keys are lost where a command fails, because a message has just gone: then it waits for more.
			return b.as("", "timeout", "-k", "1", "10", "script", "-qec", "stty rows 40 cols 100; mutt -n -F "+b.file("muttrc")+" -f "+b.box, "/dev/null")
		},
	})
	b.check()
}

// beside is a mailbox that all programs can work on: those of others do not serve root.
type beside struct {
	*site
	box, conf string

	mu   sync.Mutex
	sent map[string]bool
}

func newBeside(t *testing.T) *beside {
	b := &beside{site: newSite(t, ""), sent: map[string]bool{}}
	b.box = b.Mailbox("alice")
	for _, d := range []string{b.box, b.file("far")} {
		if err := gomaildirInit(d); err != nil {
			t.Fatal(err)
		}
	}
	b.conf = b.site.file("dovecot.conf", fmt.Sprintf("mail_location = maildir:%s\nfirst_valid_uid = 1\nbase_dir = %s/run\n"+
		"log_path = %s/log\nssl = no\nmail_home = %s\n", b.box, b.dir, b.dir, b.dir))
	b.site.file("mbsyncrc", fmt.Sprintf("MaildirStore near\nInbox %s\nAltMap yes\n\nMaildirStore far\nInbox %s\nAltMap yes\n\n"+
		"Channel c\nFar :near:\nNear :far:\nSync Pull New\nSyncState %s/\n", b.box, b.file("far"), b.dir))
	b.site.file("muttrc", "set mail_check=0 quit=yes header_cache= folder="+b.dir+" spoolfile="+b.box+" delete=no move=no\n"+
		"push \"<tag-pattern>~A<enter><tag-prefix-cond><set-flag>!<end-cond><sync-mailbox><quit>\"\n")
	if os.Geteuid() == 0 {
		for d := b.dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
			if err := os.Chmod(d, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		chown(t, b.dir, ownerUID)
	}
	return b
}

func gomaildirInit(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return gomaildir.Dir(path).Init()
}

func (b *beside) file(name string) string { return filepath.Join(b.dir, name) }

// as runs a program as the owner of the mailbox.
func (b *beside) as(stdin, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir = b.dir
	cmd.Env = append(programs.Env(b.Home.Dir), "HOME="+b.dir, "USER=alice", "LC_ALL=C.UTF-8", "TERM=dumb")
	cmd.Stdin = strings.NewReader(stdin)
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: ownerUID, Gid: ownerUID}}
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %.300s", err, out)
	}
	return err
}

func (b *beside) letter(token string) string { return "Subject: " + token + "\n\n" + token + "\n" }

func (b *beside) note(token string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent[token] = true
}

// send delivers a letter by a program. What it refuses must not be there.
func (b *beside) send(i int, by, name string, args ...string) error {
	token := fmt.Sprintf("%s-%d", by, i)
	err := b.as(b.letter(token), name, args...)
	if err == nil {
		b.note(token)
	}
	return err
}

// goMaildir delivers, and flags what it finds.
func (b *beside) goMaildir(i int) error {
	token := fmt.Sprintf("gomaildir-%d", i)
	d, err := gomaildir.NewDelivery(b.box)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(d, b.letter(token)); err != nil {
		return err
	}
	if err := d.Close(); err != nil {
		return err
	}
	b.note(token)
	return gomaildir.Dir(b.box).Walk(func(m *gomaildir.Message) error {
		m.SetFlags(append(m.Flags(), gomaildir.FlagPassed)) // another program may have been quicker
		return nil
	})
}

// pop3d reads three messages, which marks them as seen.
func (b *beside) pop3d(int) error {
	return b.as("USER alice\r\nPASS "+harness.Password+"\r\nUIDL\r\nRETR 1\r\nRETR 2\r\nRETR 3\r\nQUIT\r\n", programs.Path("pop3d"))
}

// seed delivers letters that their reader has marked already.
// mutt takes T away from what it does not purge.
func (b *beside) seed(n int) {
	b.t.Helper()
	for i := range n {
		token := fmt.Sprintf("seed-%d", i)
		name := filepath.Join(b.box, "cur", fmt.Sprintf("%d.seed.mx:2,D", 1700000000+i))
		if err := os.WriteFile(name, []byte(b.letter(token)), 0o600); err != nil {
			b.t.Fatal(err)
		}
		b.note(token)
	}
	if os.Geteuid() == 0 {
		chown(b.t, b.box, ownerUID)
	}
}

// all has the programs work at the same time.
func (b *beside) all(work map[string]func(i int) error) {
	b.t.Helper()
	var wg sync.WaitGroup
	end := time.Now().Add(besideTime)
	late := end.Add(time.Minute)
	for name, do := range work {
		wg.Go(func() {
			done, last := 0, error(nil)
			for i := 0; time.Now().Before(end) || done < besideOnce && time.Now().Before(late); i++ {
				if err := do(i); err != nil {
					last = err
				} else {
					done++
				}
			}
			b.t.Logf("%s: %d times, last error: %v", name, done, last)
			if done < besideOnce {
				b.t.Errorf("%s has done its work %d times: %v", name, done, last)
			}
		})
	}
	wg.Wait()
}

// check compares what is there with what was delivered.
func (b *beside) check() {
	b.t.Helper()
	there := map[string]int{}
	for _, sub := range []string{"new", "cur"} {
		list, err := os.ReadDir(filepath.Join(b.box, sub))
		if err != nil {
			b.t.Fatal(err)
		}
		for _, f := range list {
			text, err := os.ReadFile(filepath.Join(b.box, sub, f.Name()))
			if err != nil {
				b.t.Fatal(err)
			}
			_, token, _ := strings.Cut(string(text), "Subject: ")
			token, body, _ := strings.Cut(token, "\n\n")
			token, _, _ = strings.Cut(token, "\n")
			if there[token]++; body != token+"\n" {
				b.t.Errorf("%s is torn: %.100q", f.Name(), text)
			}
			_, flags, _ := strings.Cut(f.Name(), ":2,")
			if strings.HasPrefix(token, "seed-") && !strings.Contains(flags, "D") {
				b.t.Errorf("%s has lost a flag", f.Name())
			}
		}
	}
	for token := range b.sent {
		if there[token] != 1 {
			b.t.Errorf("%s is there %d times", token, there[token])
		}
		delete(there, token)
	}
	if len(there) > 0 {
		b.t.Errorf("nobody was told that these are there: %v", there)
	}
	b.t.Logf("%d messages", len(b.sent))
}
