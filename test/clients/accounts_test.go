package clients

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"paperpath/internal/control/machinetest"
	"paperpath/test/harness"
)

// The users of a machine, whom getent knows by libnss-wrapper.
const (
	bobUID  = 61011
	eveUID  = 61012
	project = 61020 // a group of bob's
)

// machine is a home of ownerUID, whose programs are started as root, with bob and eve as accounts
// of the machine.
type machine struct {
	t    *testing.T
	dir  string
	home *harness.Home
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{t: t, dir: passable(t)}
	passwd := "root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/var/www:/usr/sbin/nologin\n"
	for name, uid := range map[string]int{"bob": bobUID, "eve": eveUID} {
		passwd += fmt.Sprintf("%s:x:%d:%d::%s/%s:/bin/sh\n", name, uid, uid, m.dir, name)
		m.check(os.Mkdir(filepath.Join(m.dir, name), 0o700))
		chown(t, filepath.Join(m.dir, name), uid)
	}
	passwd += fmt.Sprintf("ftp:x:%d:%d::%s/bob:/usr/sbin/nologin\n", bobUID, bobUID, m.dir)
	machinetest.Users(t, passwd, fmt.Sprintf("project:x:%d:bob\nbob:x:%d:\n", project, bobUID))
	var err error
	m.home, err = programs.NewHome(filepath.Join(m.dir, "home"), "alice")
	m.check(err)
	m.check(m.home.Set("accounts", "example.net"))
	m.check(m.home.Still("accounts"))
	chown(t, m.home.Dir, ownerUID)
	m.check(os.Chmod(m.home.Dir, 0o711))
	return m
}

func (m *machine) check(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

// own writes a file of a user.
func (m *machine) own(user, name, text string, uid int) string {
	m.t.Helper()
	path := filepath.Join(m.dir, user, name)
	m.check(os.WriteFile(path, []byte(text), 0o600))
	m.check(os.Lchown(path, uid, uid))
	return path
}

// send puts a message into the spool, and has the stages work as root up to maildeliver.
func (m *machine) send(to, text string) {
	m.t.Helper()
	cmd := exec.Command(programs.Path("sendmail"), "-f", "alice@example.net", "--", to)
	cmd.Env, cmd.Stdin = programs.Env(m.home.Dir), strings.NewReader(text)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: ownerUID, Gid: ownerUID}}
	if out, err := cmd.CombinedOutput(); err != nil {
		m.t.Fatalf("%v\n%s", err, out)
	}
	m.work()
}

func (m *machine) work() {
	m.t.Helper()
	for _, stage := range []string{"mailcheck", "mailroute", "maildeliver"} {
		_, err := programs.Must(m.home.Dir, nil, stage, "run")
		m.check(err)
	}
}

// has returns the files that a pattern below the directory of the users finds.
func (m *machine) has(pattern string) []string {
	m.t.Helper()
	list, err := filepath.Glob(filepath.Join(m.dir, pattern))
	m.check(err)
	return list
}

// want says how many files each pattern finds.
func (m *machine) want(about string, counts map[string]int) {
	m.t.Helper()
	for pattern, n := range counts {
		if got := m.has(pattern); len(got) != n {
			m.t.Errorf("%s: %s has %v, want %d\n%s", about, pattern, got, n, m.home.Describe())
		}
	}
}

// reason is why the one deferred entry waits.
func (m *machine) reason() string {
	m.t.Helper()
	for _, path := range m.has("home/spool/deliver/reason/*") {
		text, err := os.ReadFile(path)
		m.check(err)
		return string(text)
	}
	return ""
}

const note = "Subject: x\n\nhello\n"

// Mail for an account of the machine is its user's: stored, piped and forwarded with that user's
// rights and groups, and nothing else in reach.
func TestAccountMailbox(t *testing.T) {
	m := newMachine(t)
	m.send("bob@example.net", note)
	m.want("stored", map[string]int{"bob/Maildir/new/*": 1, "home/spool/*/*/1*": 0})
	var st syscall.Stat_t
	m.check(syscall.Stat(m.has("bob/Maildir/new/*")[0], &st))
	if st.Uid != bobUID || st.Gid != bobUID || st.Mode&0o777 != 0o600 {
		t.Errorf("the message belongs to %d:%d, mode %o", st.Uid, st.Gid, st.Mode)
	}
	secret := m.own("eve", "secret", "of eve", eveUID)
	m.own("bob", ".qmail", "|id >who; umask >mask; ls /proc/$$/fd >files; pwd >where; cat "+secret+" >stolen; ls "+m.home.Dir+"/spool >>stolen; cat >message\n"+
		"./Maildir/.copy/\n&eve\n./box\n", bobUID)
	m.send("bob+x@example.net", note)
	m.work()
	m.want("by rules", map[string]int{"bob/Maildir/new/*": 1, "bob/Maildir/.copy/new/*": 1, "bob/box": 1, "eve/Maildir/new/*": 1, "home/spool/*/*/1*": 0})
	for name, want := range map[string]string{
		"who": fmt.Sprintf("uid=%d gid=%d groups=%d,%d", bobUID, bobUID, bobUID, project), "mask": "0077", "where": m.dir + "/bob",
		"files": "0\n1\n10\n2", "stolen": "",
	} {
		text, err := os.ReadFile(filepath.Join(m.dir, "bob", name))
		got := strings.TrimSpace(string(text))
		if name == "who" { // the names of the machine's own users may be among them
			got = names.Replace(got)
		}
		if name == "files" {
			got = strings.ReplaceAll(got, "\n10", "")
			want = strings.ReplaceAll(want, "\n10", "")
		}
		if err != nil || got != want {
			t.Errorf("%s: %q, want %q (%v)", name, got, want, err)
		}
	}
	text, err := os.ReadFile(filepath.Join(m.dir, "bob/message"))
	if err != nil || !strings.HasPrefix(string(text), "Received: ") || !strings.HasSuffix(string(text), "\n\nhello\n") {
		t.Errorf("the program got %q %v", text, err)
	}
	if list := m.home.Events("event=program", "exit status 0"); len(list) != 1 {
		t.Errorf("events: %v", list)
	}
}

var names = strings.NewReplacer("(bob)", "", "(project)", "")

// Whatever a user makes of their home, mail waits and nothing of others is touched.
func TestAccountAttacks(t *testing.T) {
	m := newMachine(t)
	target := filepath.Join(m.dir, "eve")
	bob := filepath.Join(m.dir, "bob")
	secret := m.own("eve", "secret", "of eve", eveUID)
	for _, a := range []struct {
		about string
		does  func() error
		why   string
	}{
		{"a Maildir that is a link to another user's", func() error { return os.Symlink(target, bob+"/Maildir") }, "Maildir"},
		{"a Maildir that is a link to the spool", func() error { return os.Symlink(m.home.Dir+"/spool/deliver", bob+"/Maildir") }, "Maildir"},
		{"a Maildir that is a file", func() error { return os.WriteFile(bob+"/Maildir", nil, 0o600) }, "not a directory"},
		{"new that is a link", func() error {
			return firstOf(os.Mkdir(bob+"/Maildir", 0o700), os.Mkdir(bob+"/Maildir/tmp", 0o700), os.Symlink(target, bob+"/Maildir/new"))
		}, "new"},
		{"a home of another user", func() error { return os.Lchown(bob, eveUID, eveUID) }, ""},
		{"a home that everybody can write", func() error { return os.Chmod(bob, 0o777) }, "writable by everyone"},
		{"a home that is missing", func() error { return os.Remove(bob) }, "no such file"},
		{"a home that its user cannot enter", func() error { return os.Chmod(bob, 0) }, "permission denied"},
		{"rules that are a link", func() error { return os.Symlink(secret, bob+"/.forward") }, "symbolic link"},
		{"rules that are a fifo", func() error { return syscall.Mkfifo(bob+"/.forward", 0o600) }, "fifo"},
		{"rules of another user", func() error { return os.Link(secret, bob+"/.forward") }, "permission denied"},
		{"rules that others can write", func() error {
			return firstOf(os.WriteFile(bob+"/.forward", []byte("eve"), 0o600), os.Chmod(bob+"/.forward", 0o666))
		}, "others than its owner can write"},
		{"an mbox that is a link", func() error {
			return firstOf(os.WriteFile(bob+"/.qmail", []byte("./box\n"), 0o600), os.Symlink(secret, bob+"/box"))
		}, "box"},
		{"an mbox that is another user's file", func() error {
			return firstOf(os.WriteFile(bob+"/.qmail", []byte("./box\n"), 0o600), os.Link(secret, bob+"/box"))
		}, "box"},
		{"a program that kills its parent", func() error { return os.WriteFile(bob+"/.forward", []byte("\"|kill -9 $PPID\""), 0o600) }, "has ended before it was done"},
		{"a program that kills all that it can", func() error { return os.WriteFile(bob+"/.forward", []byte("\"|kill -9 -1\""), 0o600) }, ""},
	} {
		m.check(a.does())
		m.chownNew(bob, bobUID, a.about != "a home of another user")
		m.send("bob@example.net", note)
		m.want(a.about, map[string]int{"home/spool/deliver/cur/*": 1, "bob/Maildir/new/1*": 0, "eve/*": 1, "home/spool/hold/new/*": 0})
		if got := m.reason(); !strings.Contains(got, a.why) {
			t.Errorf("%s: %q, want %q", a.about, got, a.why)
		}
		if text, err := os.ReadFile(secret); err != nil || string(text) != "of eve" {
			t.Errorf("%s: eve's file has %q, %v", a.about, text, err)
		}
		for _, path := range append(m.has("home/spool/deliver/cur/*"), m.has("home/spool/deliver/reason/*")...) {
			m.check(os.Remove(path))
		}
		m.check(os.RemoveAll(bob))
		m.check(os.Mkdir(bob, 0o700))
		chown(t, bob, bobUID)
	}
}

func firstOf(list ...error) error {
	for _, err := range list {
		if err != nil {
			return err
		}
	}
	return nil
}

// chownNew gives the user what an attack has made, but not what it has linked.
func (m *machine) chownNew(dir string, uid int, all bool) {
	m.check(filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		var st syscall.Stat_t
		if err != nil || path == dir || !all || syscall.Lstat(path, &st) != nil || st.Nlink > 1 && st.Mode&syscall.S_IFMT != syscall.S_IFDIR {
			return nil
		}
		return os.Lchown(path, uid, uid)
	}))
}

// Of the processes only the launcher is root, and it has neither the spool nor a message open;
// it goes with the front, and the front with it.
func TestAccountProcesses(t *testing.T) {
	m := newMachine(t)
	m.own("bob", ".forward", "\"|sleep 600\"", bobUID)
	cmd := exec.Command(programs.Path("maildeliver"), "watch")
	cmd.Env = programs.Env(m.home.Dir)
	m.check(cmd.Start())
	defer cmd.Process.Kill()
	send := exec.Command(programs.Path("sendmail"), "-f", "alice@example.net", "bob@example.net")
	send.Env, send.Stdin = programs.Env(m.home.Dir), strings.NewReader(note)
	send.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: ownerUID, Gid: ownerUID}}
	m.check(send.Run())
	for _, stage := range []string{"mailcheck", "mailroute"} {
		_, err := programs.Must(m.home.Dir, nil, stage, "run")
		m.check(err)
	}
	seen := map[string]int{}
	m.check(harness.Wait("bob's program", time.Minute, func() bool {
		clear(seen)
		for _, pid := range harness.Descendants(cmd.Process.Pid) {
			if ids := uids(pid); len(ids) == 4 {
				seen[strings.Join(ids[:3], " ")]++
			}
		}
		return seen[triple(bobUID)] >= 2
	}))
	if len(seen) != 2 || seen[triple(ownerUID)] != 1 || seen["0 0 0"] != 0 {
		t.Errorf("below the launcher are %v", seen)
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", cmd.Process.Pid))
	m.check(err)
	for _, f := range files {
		if to, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", cmd.Process.Pid, f.Name())); strings.HasPrefix(to, m.home.Dir) {
			t.Errorf("the launcher has %s open", to)
		}
	}
	all := harness.Descendants(cmd.Process.Pid)
	m.check(cmd.Process.Kill()) // the front and bob's processes are not told
	cmd.Wait()
	m.check(harness.Wait("the end of what the launcher has started", time.Minute, func() bool {
		for _, pid := range all {
			if text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status"); err == nil && !strings.Contains(string(text), "State:\tZ") {
				return false
			}
		}
		return true
	}))
	m.want("after a kill", map[string]int{"home/spool/deliver/[nc]*/*": 1})
}

func triple(uid int) string { return strings.TrimSpace(strings.Repeat(strconv.Itoa(uid)+" ", 3)) }

// As the MDA of a mail system that runs it as root, maildeliver stores and follows rules as the
// same users, and its exit status says what became of the message.
func TestAccountMDA(t *testing.T) {
	m := newMachine(t)
	big := "Subject: big\n\n" + strings.Repeat("0123456789abcdef\n", 200000)
	for _, in := range []string{note, big} {
		exit(t, m.home.Dir, 0, "", in, "maildeliver", "-d", "bob")
	}
	m.want("stored", map[string]int{"bob/Maildir/new/*": 2})
	var st syscall.Stat_t
	m.check(syscall.Stat(m.has("bob/Maildir/new/*")[1], &st))
	if st.Uid != bobUID || st.Size < int64(len(big)) {
		t.Errorf("uid %d, %d octets", st.Uid, st.Size)
	}
	exit(t, m.home.Dir, 0, "", note, "maildeliver", "-d", "bob@example.net", "-m", "Lists.x")
	m.want("a folder", map[string]int{"bob/Maildir/.Lists.x/new/*": 1})
	exit(t, m.home.Dir, 67, "no such mailbox", note, "maildeliver", "-d", "nosuch@example.net")
	exit(t, m.home.Dir, 0, "", note, "maildeliver", "-d", "www-data@example.net", "-f", "")
	m.want("for a daemon", map[string]int{"home/mail/example.net/alice/Maildir/new/*": 1})
	m.own("bob", ".qmail", "|id -u >who; exit 99\n", bobUID)
	exit(t, m.home.Dir, 0, "", note, "maildeliver", "-d", "bob")
	if text, err := os.ReadFile(filepath.Join(m.dir, "bob/who")); err != nil || string(text) != fmt.Sprintln(bobUID) {
		t.Errorf("the program ran as %q, %v", text, err)
	}
	for rule, status := range map[string]int{"|exit 100\n": 65, "|exit 111\n": 75, "|kill -9 $$\n": 75, "|kill -9 $PPID\n": 75, "nonsense nonsense\n": 75} {
		m.own("bob", ".qmail", rule, bobUID)
		exit(t, m.home.Dir, status, "", note, "maildeliver", "-d", "bob")
	}
	m.own("bob", ".qmail", "&far@elsewhere.example\n", bobUID)
	exit(t, m.home.Dir, 0, "", note, "maildeliver", "-d", "bob", "-f", "x@x.example")
	m.want("forwarded", map[string]int{"home/spool/route/new/*": 1, "bob/Maildir/new/*": 2})
	if entry := m.has("home/spool/route/new/*"); len(entry) == 1 {
		m.check(syscall.Stat(entry[0], &st))
		if st.Uid != ownerUID {
			t.Errorf("the entry belongs to %d", st.Uid)
		}
	}
}

// What a list of bob's sends on names each recipient in its reverse path, whoever has handed the
// message in: bob's process says only that it is a list.
func TestAccountList(t *testing.T) {
	for name, deliver := range map[string]func(m *machine){
		"an entry": func(m *machine) { m.send("bob+go@example.net", note) },
		"standard input": func(m *machine) {
			exit(t, m.home.Dir, 0, "", note, "maildeliver", "-d", "bob+go@example.net", "-f", "x@x.example")
		},
	} {
		m := newMachine(t)
		m.own("bob", ".qmail-go", "|env >env\n&carol@far.example\n&dan@far.example\n", bobUID)
		m.own("bob", ".qmail-go-owner", "", bobUID)
		m.own("bob", ".qmail-go-owner-default", "", bobUID)
		deliver(m)
		var got []string
		for _, path := range m.has("home/spool/route/new/*") {
			text, err := os.ReadFile(path)
			m.check(err)
			from, _, _ := strings.Cut(string(text), "\n")
			got = append(got, from)
		}
		slices.Sort(got)
		want := []string{"Return-Path: <bob+go-owner-carol=far.example@example.net>", "Return-Path: <bob+go-owner-dan=far.example@example.net>"}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q\n%s", name, got, want, m.home.Describe())
		}
		env, err := os.ReadFile(filepath.Join(m.dir, "bob/env"))
		if err != nil || !strings.Contains(string(env), "\nNEWSENDER=bob+go-owner-@example.net-@[]\n") {
			t.Errorf("%s: %v, a program has\n%s", name, err, env)
		}
	}
}
