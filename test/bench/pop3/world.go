package pop3

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"paperpath/internal/auth"
	"paperpath/test/bench"
	"paperpath/test/harness"
)

const (
	domain   = "example.net"
	password = "correct-horse"

	// owner has every file. Neither server may run as root for its users'
	// mailboxes, and no account of this machine is needed for a number.
	owner = 61234

	small = 10 // messages in a mailbox where their number is not the point
)

// world is one home with the mailboxes that both servers serve.
type world struct {
	dir   string // all of it
	home  string // Paperpath's
	boxes map[string]int
	users []string // rows of control/users
}

func newWorld(dir string) *world {
	return &world{dir: dir, home: filepath.Join(dir, "home"), boxes: map[string]int{}}
}

// user adds user@domain whose mailbox has n messages of size octets.
func (w *world) user(name, hash string, n, size int) error {
	w.users = append(w.users, fmt.Sprintf("%s@%s:%s::::::", name, domain, hash))
	w.boxes[name] = n
	box := w.maildir(name)
	for _, sub := range []string{"tmp", "new", "cur"} {
		if err := os.MkdirAll(filepath.Join(box, sub), 0o700); err != nil {
			return err
		}
	}
	var file, text string
	for i := range n {
		base := fmt.Sprintf("%d.M%06dR%016x.mx", 1700000000+i, i*7919%1000000, uint64(i+1)*0x9e3779b97f4a7c15)
		var err error
		if i%same == 0 || n <= many {
			text = letter(i, size)
			file = filepath.Join(box, "new", sized(base, text))
			err = os.WriteFile(file, []byte(text), 0o600)
		} else {
			err = os.Link(file, filepath.Join(box, "new", sized(base, text)))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// same is how many messages are one file under many names in a mailbox of which
// only the names are looked at: it is made in a fraction of the time.
const same = 1000

func sized(base, text string) string {
	return fmt.Sprintf("%s,S=%d,W=%d", base, len(text), len(text)+strings.Count(text, "\n"))
}

// letter is message i: a header, and lines of many lengths, some of which begin
// with a dot.
func letter(i, size int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Return-Path: <sender%d@example.org>\nDelivered-To: user@%s\nReceived: from mail.example.org (mail.example.org [192.0.2.7]) by mx.%s\n with ESMTPS id 1; Sun, 22 Nov 2026 20:13:00 +0000\nFrom: Sender <sender%d@example.org>\nTo: user@%s\nSubject: message %d\nDate: Sun, 22 Nov 2026 20:12:59 +0000\nMessage-ID: <%d@mail.example.org>\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\n",
		i, domain, domain, i, domain, i, i)
	bench.Fill(&b, i, size)
	return b.String()
}

func (w *world) maildir(name string) string {
	return filepath.Join(w.home, "mail", domain, name, "Maildir")
}

// renew makes a mailbox what it was before any server had seen it: every
// message in new/, and no file but the messages.
func (w *world) renew(name string) error {
	box := w.maildir(name)
	list, err := os.ReadDir(filepath.Join(box, "cur"))
	if err != nil {
		return err
	}
	for _, e := range list {
		base, _, _ := strings.Cut(e.Name(), ":")
		if err := os.Rename(filepath.Join(box, "cur", e.Name()), filepath.Join(box, "new", base)); err != nil {
			return err
		}
	}
	return w.forget(name)
}

// forget removes what Dovecot keeps about a mailbox.
func (w *world) forget(name string) error {
	files, err := filepath.Glob(filepath.Join(w.maildir(name), "dovecot*"))
	for _, f := range files {
		if err := os.Remove(f); err != nil {
			return err
		}
	}
	return err
}

// make writes the home and its settings.
func (w *world) make(p harness.Programs) error {
	if err := os.MkdirAll(w.dir, 0o755); err != nil {
		return err
	}
	_, err := p.Must(w.dir, nil, "mailctl", "init", w.home, "--owner", harness.Self(), "--hostname", "mx."+domain, "--domain", domain)
	return err
}

// seal writes the table of users and gives all files to their owner.
func (w *world) seal() error {
	for name, rows := range map[string][]string{"users": w.users, "concurrency": {"pop3d: 4096"}} {
		path := filepath.Join(w.home, "control", name)
		if err := os.WriteFile(path, []byte(strings.Join(rows, "\n")+"\n"), 0o644); err != nil {
			return err
		}
	}
	// Dovecot's process for passwords is a user of its own.
	for _, name := range []string{"", "control", "control/users"} {
		if err := os.Chmod(filepath.Join(w.home, name), 0o755); err != nil {
			return err
		}
	}
	return filepath.WalkDir(w.home, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, owner, owner)
	})
}

// shaCrypt is the password in the scheme that mailctl writes.
func shaCrypt() (string, error) { return auth.Hash("SHA512-CRYPT", password) }

// paperpath starts our server.
func (w *world) paperpath(p harness.Programs) (*bench.Server, error) {
	addr := harness.FreeAddr()
	cmd := exec.Command(p.Path("pop3d"), "--home", w.home, "--listen", addr)
	cmd.Env = p.Env(w.home)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: &syscall.Credential{Uid: owner, Gid: owner}}
	return bench.Start("pop3d", addr, cmd, greets)
}
