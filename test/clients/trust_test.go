package clients

import (
	"errors"
	"fmt"
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

// trap is a program of a user's that says in its directory who ran it.
func trap(t *testing.T, dir string) (path string, ranAs func() string) {
	t.Helper()
	path, said := dir+"/trap", dir+"/said"
	err := errors.Join(os.WriteFile(path, []byte("#!/bin/sh\nid -ru >>"+said+"\nexit 67\n"), 0o755),
		os.WriteFile(said, nil, 0o666), os.Chmod(said, 0o666))
	if err != nil {
		t.Fatal(err)
	}
	return path, func() string {
		text, err := os.ReadFile(said)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
}

// userHome is a home of carol's with a trap in its settings, in a place of hers.
func userHome(t *testing.T) (home string, ranAs func() string) {
	t.Helper()
	scratch := passable(t)
	home = scratch + "/carol/home"
	if err := os.Mkdir(scratch+"/carol", 0o755); err != nil {
		t.Fatal(err)
	}
	chown(t, scratch+"/carol", carolUID)
	exit(t, scratch, 0, "", "", "mailctl", "init", "--hostname", harness.Hostname, home)
	path, ranAs := trap(t, scratch+"/carol")
	for name, text := range map[string]string{"users": "once:" + path + "\n",
		"services": path + "\nmailroute wrong\n", "root": "*\n"} {
		if err := os.WriteFile(home+"/control/"+name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	chown(t, home, carolUID)
	return home, ranAs
}

// Root that works with the home of a user is that user, or does nothing: none
// of the user's settings makes it stay root, or become a third user.
func TestRootInHomeOfAUser(t *testing.T) {
	for about, spoil := range map[string]func(home, scratch string) error{
		"spool/ is a link to root's": func(home, scratch string) error {
			return errors.Join(os.Rename(home+"/spool", home+"/away"), os.Symlink(scratch+"/root", home+"/spool"))
		},
		"spool/ is a link to another user's": func(home, scratch string) error {
			return errors.Join(os.Rename(home+"/spool", home+"/away"), os.Symlink(scratch+"/dave", home+"/spool"))
		},
		"spool/ is root's": func(home, _ string) error { return os.Chown(home+"/spool", 0, 0) },
	} {
		t.Run(about, func(t *testing.T) {
			home, ranAs := userHome(t)
			scratch := filepath.Dir(filepath.Dir(home))
			err := errors.Join(os.MkdirAll(scratch+"/root", 0o755), os.MkdirAll(scratch+"/dave", 0o755),
				os.WriteFile(scratch+"/root/.paperpath", nil, 0o644), os.WriteFile(scratch+"/dave/.paperpath", nil,
					0o644))
			if err != nil {
				t.Fatal(err)
			}
			chown(t, scratch+"/dave", daveUID)
			if err := spoil(home, scratch); err != nil {
				t.Fatal(err)
			}
			const words = "which another user could exchange"
			exit(t, home, 77, words, "", "mailctl", "start")
			exit(t, home, 77, words, "", "mailctl", "queue")
			exit(t, home, 77, words, "", "mailroute", "run")
			exit(t, home, 77, words, "", "pop3d", "--listen", harness.FreeAddr())
			exit(t, home, 77, words, "", "mailsubmit", "smtp", "--listen", harness.FreeAddr())
			exit(t, home, 77, words, "", "mailroute", "explain", alice)
			exit(t, home, 75, words, "x: y\n", "maildeliver", "-d", alice)
			exit(t, home, 75, words, "x: y\n", "sendmail", alice)
			if got := ranAs(); got != "" {
				t.Errorf("the user's program ran as %q", got)
			}
		})
	}
	t.Run("spool/ is missing", func(t *testing.T) {
		home, ranAs := userHome(t)
		if err := os.Rename(home+"/spool", home+"/away"); err != nil {
			t.Fatal(err)
		}
		exit(t, home, 67, "", "", "mailroute", "alice@"+harness.Hostname)
		if got := ranAs(); got != strconv.Itoa(carolUID)+"\n" {
			t.Errorf("the user's program ran as %q", got)
		}
	})
}

// What stays root runs no program that the home's owner has written into the settings.
func TestProgramsOfTheOwner(t *testing.T) {
	s := rootSite(t)
	path, ranAs := trap(t, s.dir)
	s.startRoot("mailsubmit smtp --role local --listen unix:run/submit\n" + path)
	want := strconv.Itoa(ownerUID) + "\n"
	err := harness.Wait("a command of control/services", time.Minute, func() bool { return ranAs() != "" })
	if got := ranAs(); err != nil || strings.ReplaceAll(got, want, "") != "" {
		t.Errorf("a command of control/services ran as %q, %v", got, err)
	}
}

// startRoot starts mailctl start as root, with one service that can be waited for.
func (s *site) startRoot(services string) {
	s.t.Helper()
	if err := errors.Join(s.Set("services", services), os.RemoveAll(s.Home.Dir+"/log"),
		os.Mkdir(s.Home.Dir+"/log", 0o700)); err != nil {
		s.t.Fatal(err)
	}
	chown(s.t, s.Home.Dir+"/log", ownerUID)
	cmd := exec.Command(programs.Path("mailctl"), "start")
	cmd.Env = programs.Env(s.Home.Dir)
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	})
}

// A lookup program in control/users is the owner's too: the process of pop3d that
// stays root asks it as the owner.
func TestLookupAsRoot(t *testing.T) {
	s := rootSite(t)
	users, err := os.ReadFile(s.Home.Dir + "/control/users")
	if err != nil {
		t.Fatal(err)
	}
	rows, said := s.dir+"/rows", s.dir+"/said"
	script := fmt.Sprintf("#!/bin/sh\nid -ru >>%s\ngrep \"^$1:\" %s || exit 67\n", said, rows)
	err = errors.Join(os.WriteFile(rows, users, 0o644), os.WriteFile(said, nil, 0o666), os.Chmod(said, 0o666),
		os.WriteFile(s.dir+"/lookup", []byte(script), 0o755), s.Set("users", "once:"+s.dir+"/lookup"),
		s.Home.Still("users"))
	if err != nil {
		t.Fatal(err)
	}
	chown(t, s.Home.Dir+"/control", ownerUID)
	s.asRoot()
	c := s.login("carol@example.net")
	s.say(c, "PASS "+harness.Password, "+OK 3 messages")
	s.say(c, "QUIT", "+OK")
	text, err := os.ReadFile(said)
	if want := strconv.Itoa(ownerUID) + "\n"; err != nil || len(text) == 0 ||
		strings.ReplaceAll(string(text), want, "") != "" {
		t.Errorf("the program ran as %q, %v", text, err)
	}
}

// Whose a mailbox without a uid in its row is, is not for a third user to say.
func TestExchangedMailbox(t *testing.T) {
	s := rootSite(t)
	accounts := s.dir + "/accounts"
	err := errors.Join(os.Mkdir(accounts+"/dave", 0o755), os.Symlink(accounts+"/carol", accounts+"/dave/mail"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Lchown(accounts+"/dave", daveUID, daveUID), os.Lchown(accounts+"/dave/mail",
		daveUID, daveUID)); err != nil {
		t.Fatal(err)
	}
	users, err := os.ReadFile(s.Home.Dir + "/control/users")
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Replace(string(users), accounts+"/carol", accounts+"/dave/mail", 1)
	if err := errors.Join(os.WriteFile(s.Home.Dir+"/control/users", []byte(rows), 0o640),
		s.Home.Still("users")); err != nil {
		t.Fatal(err)
	}
	s.asRoot()
	s.say(s.login("carol"), "PASS "+harness.Password, "-ERR [SYS/")
}

// In a home of root's nothing is read or stored by way of what a user can exchange.
func TestRootsMailboxByALink(t *testing.T) {
	dir := passable(t)
	s := newSite(t, "")
	roots := dir + "/roots"
	err := errors.Join(os.MkdirAll(roots+"/Maildir/new", 0o700), os.Mkdir(roots+"/Maildir/cur", 0o700),
		os.Mkdir(roots+"/Maildir/tmp", 0o700),
		os.Mkdir(dir+"/carol", 0o755), os.Symlink(roots, dir+"/carol/mail"),
		os.WriteFile(roots+"/Maildir/new/1.x", []byte("Subject: private\n\nx\n"), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	chown(t, dir+"/carol", carolUID)
	users, err := os.ReadFile(s.Home.Dir + "/control/users")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(users), alice+":")
	hash, _, _ := strings.Cut(rest, ":")
	rows := string(users) + "carol@example.net:" + hash + "::::" + dir + "/carol/mail::\n"
	if err := errors.Join(os.WriteFile(s.Home.Dir+"/control/users", []byte(rows), 0o600),
		s.Home.Still("users")); err != nil {
		t.Fatal(err)
	}
	const words = "belongs to uid 61002, not to root"
	exit(t, s.Home.Dir, 75, words, "x: y\n\nz\n", "maildeliver", "-d", "carol@example.net")
	if names, _ := filepath.Glob(roots + "/Maildir/new/*"); len(names) != 1 {
		t.Errorf("stored by way of a user's link: %q", names)
	}
	session := "USER carol@example.net\r\nPASS " + harness.Password + "\r\nTOP 1 0\r\nQUIT\r\n"
	r, err := programs.Run(s.Home.Dir, strings.NewReader(session), "pop3d")
	if err != nil || strings.Contains(r.Stdout, "private") || !strings.Contains(r.Stdout, "-ERR [SYS/") {
		t.Errorf("read by way of a user's link: %+v, %v", r, err)
	}
}

// init gives no home to anybody where a third user could exchange it.
func TestInitWhereOthersWrite(t *testing.T) {
	dir := passable(t)
	err := errors.Join(os.MkdirAll(dir+"/carol/empty", 0o755), os.Mkdir(dir+"/roots", 0o755),
		os.Symlink(dir+"/roots", dir+"/carol/link"))
	if err != nil {
		t.Fatal(err)
	}
	chown(t, dir+"/carol", carolUID)
	for _, args := range []string{"--owner 61003 DIR/carol/home", "--owner root DIR/carol/home",
		"--owner root DIR/carol/empty", "--owner 61002 DIR/carol/link/home"} {
		w := strings.Fields(strings.ReplaceAll(args, "DIR", dir))
		exit(t, dir, 77, "belongs to uid 61002", "", "mailctl", append([]string{"init", "--hostname",
			harness.Hostname}, w...)...)
	}
	for sub, n := range map[string]int{"/carol": 2, "/carol/empty": 0, "/roots": 0} {
		if names, err := os.ReadDir(dir + sub); len(names) != n || err != nil {
			t.Errorf("%s has %v, %v", sub, names, err)
		}
	}
}
