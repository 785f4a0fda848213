package clients

import (
	"bytes"
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

// passable makes a scratch directory that every user of the machine can reach.
func passable(t *testing.T) string {
	t.Helper()
	needRoot(t)
	scratch := t.TempDir()
	for dir := scratch; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return scratch
}

// exit runs a program and wants this exit status, and these words in what it
// says on standard error.
func exit(t *testing.T, home string, status int, words, stdin, name string, args ...string) {
	t.Helper()
	r, err := programs.Run(home, strings.NewReader(stdin), name, args...)
	if err != nil || r.Status != status || !strings.Contains(r.Stderr, words) {
		t.Errorf("%s %q: %+v, %v; want exit status %d and %q", name, args, r, err, status, words)
	}
}

// In a home of root's no listener and no runner works, and nobody else's mail is
// taken, unless control/root lets it; explain and filters do.
func TestHomeOfRoot(t *testing.T) {
	needRoot(t)
	s := newSite(t, "")
	allowed := filepath.Join(s.Home.Dir, "control/root")
	if text, err := os.ReadFile(allowed); err != nil || string(text) != "*\n" {
		t.Fatalf("init --owner root wrote %q, %v", text, err)
	}
	if err := os.Remove(allowed); err != nil {
		t.Fatal(err)
	}
	const letter = "From: a@example.org\n\nhello\n"
	for _, words := range []string{"mailcheck run", "mailroute run", "maildeliver watch", "mailrelay run", "pop3d expire",
		"pop3d --listen " + s.Addr["pop3"], "mailsubmit smtp --listen " + s.Addr["mx"], "mailsubmit smtp", "mailctl start"} {
		w := strings.Fields(words)
		refusal := "does not run as root"
		if w[0] == "mailctl" {
			refusal = "is not allowed to do its work"
		}
		exit(t, s.Home.Dir, 77, refusal, "", w[0], w[1:]...)
	}
	exit(t, s.Home.Dir, 75, "does not run as root", letter, "maildeliver", "-d", alice)
	exit(t, s.Home.Dir, 75, "does not run as root", letter, "mailrelay", "--via", s.Addr["mx"], "x@example.org")
	exit(t, s.Home.Dir, 0, "", letter, "mailcheck")
	exit(t, s.Home.Dir, 0, "", letter, "sendmail", alice)
	for _, name := range []string{"mailroute", "maildeliver"} {
		exit(t, s.Home.Dir, 0, "", "", name, "explain", alice)
	}
	if err := s.Set("root", "mailroute"); err != nil {
		t.Fatal(err)
	}
	exit(t, s.Home.Dir, 0, "", "", "mailroute", "run")
	exit(t, s.Home.Dir, 77, "does not run as root", "", "maildeliver", "run")
	if err := s.Set("root", "mailroute", "mailrote"); err != nil {
		t.Fatal(err)
	}
	exit(t, s.Home.Dir, 75, "control/root:2", "", "mailroute", "run")
}

// portBelow1024 returns an address with a port that only root opens.
func portBelow1024(t *testing.T) string {
	t.Helper()
	for port := 700; port < 1024; port++ {
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		if harness.NothingAt(addr) {
			return addr
		}
	}
	t.Fatal("no port below 1024 is free")
	return ""
}

// uids returns the user ids of a process, real, effective and saved.
func uids(pid int) []string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, rest, _ := strings.Cut(string(text), "\nUid:")
	rest, _, _ = strings.Cut(rest, "\n")
	return strings.Fields(rest)
}

// service finds the process below mailctl whose command line has the words.
func service(pid int, words string) int {
	for _, child := range harness.Descendants(pid) {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", child))
		if strings.Contains(strings.ReplaceAll(string(line), "\x00", " "), words) {
			return child
		}
	}
	return 0
}

// mailctl start as root opens ports below 1024, also for a service that it starts
// again, and nothing that meets a client or a message stays root.
func TestStartAsRoot(t *testing.T) {
	s := rootSite(t)
	smtp := portBelow1024(t)
	services := "mailsubmit smtp --role mx --listen " + smtp + "\nmailsubmit smtp --role local --listen unix:run/submit\n" +
		"mailroute watch\nmaildeliver watch\npop3d --listen " + s.Addr["pop3"]
	if err := errors.Join(s.Set("services", services), os.RemoveAll(s.Home.Dir+"/log"), os.Mkdir(s.Home.Dir+"/log", 0o700)); err != nil {
		t.Fatal(err)
	}
	chown(t, s.Home.Dir+"/log", ownerUID)
	system, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(system.Kill)
	first := service(system.PID(), "--role mx")
	for _, words := range []string{"--role mx", "--role local", "mailroute watch", "maildeliver watch"} {
		pid := service(system.PID(), words)
		if words == "maildeliver watch" { // the one that stays root has started it again
			if ids := uids(pid); len(ids) == 0 || ids[0] != "0" {
				t.Errorf("the launcher of %s runs as %q", words, ids)
			}
			pid = service(pid, words)
		}
		if comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); err != nil || string(comm) == "exe\n" {
			t.Errorf("%s is called %q in ps, %v", words, comm, err)
		}
		ids := uids(pid)
		if want := strings.Repeat(strconv.Itoa(ownerUID)+" ", 4); strings.Join(ids, " ")+" " != want {
			t.Errorf("%s runs as %q", words, ids)
		}
	}
	if reply, err := harness.SendMail(smtp, "a@example.org", []string{alice}, []byte("From: a@example.org\nSubject: one\n\nx\n")); err != nil {
		t.Fatal(reply, err)
	}
	s.arrived("alice", 4)
	if ownerOf(t, s.Home.Dir+"/log/mail.log") != ownerUID || ownerOf(t, s.Home.Dir+"/run/submit") != ownerUID {
		t.Error("root has made log/mail.log or run/submit")
	}
	if len(s.Events("event=started")) != 5 {
		t.Errorf("events of mailctl:\n%s", s.Describe())
	}
	syscall.Kill(first, syscall.SIGKILL)
	err = harness.Wait("the service to come back", time.Minute, func() bool {
		second := service(system.PID(), "--role mx")
		return second != 0 && second != first && !harness.NothingAt(smtp)
	})
	if err != nil {
		t.Fatal(err, s.Describe())
	}
	if reply, err := harness.SendMail(smtp, "a@example.org", []string{alice}, []byte("From: a@example.org\nSubject: two\n\nx\n")); err != nil {
		t.Fatal(reply, err)
	}
	s.arrived("alice", 5)
	// Where mailctl is killed its services end too, as without root.
	left := harness.Descendants(system.PID())
	syscall.Kill(system.PID(), syscall.SIGKILL)
	err = harness.Wait("the services to end", time.Minute, func() bool {
		for _, pid := range left {
			if syscall.Kill(pid, 0) == nil && len(uids(pid)) > 0 && !zombie(pid) {
				return false
			}
		}
		return true
	})
	if err != nil {
		t.Error(err)
	}
}

func zombie(pid int) bool {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	return bytes.Contains(text, []byte("\nState:\tZ"))
}

// A server without supervision does the same; without the right it says 77.
func TestPortAsRoot(t *testing.T) {
	s := rootSite(t)
	smtp := portBelow1024(t)
	cmd := exec.Command(programs.Path("mailsubmit"), "smtp", "--listen", smtp)
	cmd.Env = programs.Env(s.Home.Dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Error(cmd, err)
		}
	}()
	err := harness.Wait("port "+smtp, time.Minute, func() bool { return !harness.NothingAt(smtp) && uids(cmd.Process.Pid)[0] != "0" })
	if err != nil {
		t.Fatal(err)
	}
	if reply, err := harness.SendMail(smtp, "a@example.org", []string{alice}, []byte("From: a@example.org\nSubject: one\n\nx\n")); err != nil {
		t.Error(reply, err)
	}
	other := exec.Command(programs.Path("mailsubmit"), "smtp", "--listen", portBelow1024(t))
	other.Env = programs.Env(s.Home.Dir)
	other.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: ownerUID, Gid: ownerUID}}
	if out, _ := other.CombinedOutput(); other.ProcessState.ExitCode() != 77 || !bytes.Contains(out, []byte("permission denied")) {
		t.Errorf("a port below 1024 without root: %d %s", other.ProcessState.ExitCode(), out)
	}
}

// No program can be looked into by its own user, leaves a core file, or gains
// rights by a set-id program, but for those that start programs of users.
func TestConfined(t *testing.T) {
	s := rootSite(t)
	for words, gains := range map[string]string{"mailcheck watch": "1", "mailroute watch": "1", "mailrelay watch": "1", "maildeliver watch": "0",
		"pop3d --listen " + harness.FreeAddr(): "1", "mailsubmit smtp --listen " + harness.FreeAddr(): "1"} {
		w := strings.Fields(words)
		cmd := exec.Command(programs.Path(w[0]), w[1:]...)
		cmd.Env = programs.Env(s.Home.Dir)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: ownerUID, Gid: ownerUID}}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		proc := fmt.Sprintf("/proc/%d/", cmd.Process.Pid)
		err := harness.Wait(words, time.Minute, func() bool {
			return len(s.Events("prog="+w[0], "event=watching"))+len(s.Events("prog="+w[0], "event=listening")) > 0
		})
		status, _ := os.ReadFile(proc + "status")
		limits, _ := os.ReadFile(proc + "limits")
		core := strings.Fields(string(limits[max(0, bytes.Index(limits, []byte("Max core file size"))):]))
		if err != nil || !bytes.Contains(status, []byte("NoNewPrivs:\t"+gains)) || len(core) < 6 || core[4] != "0" || core[5] != "0" {
			t.Errorf("%s: %v, core %q\n%s", words, err, core, status)
		}
		if uid := ownerOf(t, proc+"environ"); uid != 0 {
			t.Errorf("%s can be looked into by uid %d", words, uid)
		}
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", words, err)
		}
	}
	// A program that asks PAM may have to be set-id, or to start what is.
	if err := s.Set("users", "checkpassword:/bin/false"); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(programs.Path("mailroute"), "watch")
	cmd.Env = programs.Env(s.Home.Dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Error(cmd, err)
		}
	}()
	err := harness.Wait("mailroute", time.Minute, func() bool { return len(s.Events("prog=mailroute", "event=watching")) > 1 })
	if status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid)); err != nil || !bytes.Contains(status, []byte("NoNewPrivs:\t0")) {
		t.Errorf("with checkpassword: %v\n%s", err, status)
	}
}

// maildeliver goes through no link of a user's, and leaves nothing of its own in a
// mailbox that is another's.
func TestDeliverToForeignMailbox(t *testing.T) {
	dir := passable(t)
	s := newSite(t, "")
	victim := dir + "/victim"
	carol := dir + "/carol"
	if err := errors.Join(os.MkdirAll(victim, 0o755), os.MkdirAll(carol, 0o755), os.Symlink(victim+"/made", carol+"/Maildir"),
		os.Remove(s.Mailbox("bob")+"/cur"), os.RemoveAll(s.Mailbox("bob")), os.Symlink(victim, s.Mailbox("bob"))); err != nil {
		t.Fatal(err)
	}
	chown(t, carol, carolUID)
	chown(t, filepath.Dir(s.Mailbox("bob")), daveUID)
	users, err := os.ReadFile(s.Home.Dir + "/control/users")
	if err != nil {
		t.Fatal(err)
	}
	rows := string(users) + "carol@example.net:*:::" + ":" + carol + "::\n" +
		fmt.Sprintf("dave@example.net:*:%d:%d::::\n", daveUID, daveUID)
	if err := os.WriteFile(s.Home.Dir+"/control/users", []byte(rows), 0o600); err != nil {
		t.Fatal(err)
	}
	const letter = "From: a@example.org\n\nhello\n"
	for user, words := range map[string]string{"carol": "belongs to uid 61002", "dave": "belongs to uid 61003", "bob": "belongs to uid 61003"} {
		// A process of the owner looks, who may not pass through mail/, and follows no link.
		denied := map[string]string{"carol": "not a directory", "dave": "permission denied", "bob": words}[user]
		exit(t, s.Home.Dir, 75, denied, letter, "maildeliver", "-d", user+"@example.net")
		r, err := programs.Run(s.Home.Dir, nil, "maildeliver", "explain", user+"@example.net")
		if err != nil || r.Status != 75 || !strings.Contains(r.Stdout, "=> ") || !strings.Contains(r.Stdout, words) {
			t.Errorf("explain %s: %+v, %v; want exit status 75 and %q", user, r, err, words)
		}
		exit(t, s.Home.Dir, 0, "", letter, "sendmail", user+"@example.net")
	}
	chown(t, filepath.Dir(s.Mailbox("bob")), 0) // only the link is left
	exit(t, s.Home.Dir, 75, "not a directory", letter, "maildeliver", "-d", bob)
	for _, stage := range []string{"mailcheck", "mailroute", "maildeliver"} {
		exit(t, s.Home.Dir, 0, "", "", stage, "run")
	}
	if len(s.Glob("spool/deliver/cur/*")) != 3 {
		t.Errorf("not deferred:\n%s", s.Describe())
	}
	if made, _ := filepath.Glob(victim + "/*"); len(made) > 0 {
		t.Errorf("through a link: %q", made)
	}
	if made := s.Glob("mail/example.net/dave*"); len(made) > 0 {
		t.Errorf("for dave: %q", made)
	}
}
