package clients

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"paperpath/test/harness"
)

// usersScript makes a home of one user with a message in it, then gives each program its own, and
// runs everything with the capabilities that contrib/systemd-users leaves; /etc is a copy.
const usersScript = `cp -a /etc "$0/etc" && mount --bind "$0/etc" /etc || exit 99
sed -i '/^paperpath:/d; /^pp/d' /etc/passwd /etc/shadow /etc/group /etc/gshadow
cp -a "$BIN" "$0/bin"; PATH=$0/bin:$PATH; PAPERPATH_HOME=$0/home; export PATH PAPERPATH_HOME
useradd --system --no-create-home paperpath &&
mailctl init "$0/home" --hostname mx.example.net --domain example.net --owner paperpath 2>/dev/null &&
echo secret | mailctl user add --password-stdin alice@example.net || exit 1
`

// apart is a running home with a user for each program.
type apart struct {
	t         *testing.T
	dir, home string
	pop       string
	relayed   *harness.Sink
	programs  map[string]*syscall.Credential // of the running processes
}

// startApart makes the home and starts it.
func startApart(t *testing.T) *apart {
	dir := passable(t)
	need(t, "unshare")
	need(t, "useradd")
	need(t, "setpriv")
	sink, err := harness.NewSink("ok")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sink.Close() })
	a := &apart{t: t, dir: dir, home: dir + "/home", pop: harness.FreeAddr(), relayed: sink, programs: map[string]*syscall.Credential{}}
	script := usersScript + fmt.Sprintf(`
printf 'Subject: before\n\nbefore\n' | sendmail alice@example.net && mailcheck run && mailroute run && maildeliver run || exit 2
mailctl init "$0/home" --hostname mx.example.net --create-user 2>"$0/said" || exit 3
mailctl dkim show >"$0/keys" && mailctl check >"$0/content" || exit 4
chmod 600 "$0/home/control/domains" && chgrp paperpath "$0/home/spool" && mailctl check >"$0/worried" || exit 5
mailctl init "$0/home" --hostname mx.example.net --create-user 2>>"$0/said" || exit 6
echo '.: %s' >"$0/home/control/routes"
printf '%%s\n' 'mailsubmit smtp --role local --listen unix:run/submit' 'mailcheck watch' 'mailroute watch' \
	'maildeliver watch' 'mailrelay watch' 'pop3d --listen %s' >"$0/home/control/services"
exec setpriv --bounding-set=-all,+setuid,+setgid,+kill,+net_bind_service mailctl start`, sink.Addr, a.pop)
	cmd := exec.Command("unshare", "--mount", "sh", "-c", script, dir)
	cmd.Env = append(programs.Env(a.home), "BIN="+filepath.Dir(programs.Path("mailctl")))
	var out, errs bytes.Buffer
	ready := make(chan bool, 1)
	cmd.Stdout, cmd.Stderr = writer(func(p []byte) {
		if out.Write(p); strings.Contains(out.String(), "ready\n") && len(ready) == 0 {
			ready <- true
		}
	}), &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		pids := harness.Descendants(cmd.Process.Pid)
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(time.Minute):
			t.Error("mailctl start does not end")
			_ = cmd.Process.Kill()
		}
		for _, pid := range pids {
			if syscall.Kill(pid, 0) == nil {
				t.Errorf("process %d has survived mailctl start", pid)
			}
		}
	})
	select {
	case <-ready:
	case <-ended:
		if harness.Missing("mounts (a user for each program)") || cmd.ProcessState.ExitCode() != 99 {
			t.Fatalf("exit status %d: %s%s", cmd.ProcessState.ExitCode(), &out, &errs)
		}
		t.Skip("no mounts")
	case <-time.After(time.Minute):
		t.Fatal("not ready")
	}
	for _, pid := range harness.Descendants(cmd.Process.Pid) {
		a.note(pid)
	}
	return a
}

// writer is a function that takes what is written.
type writer func(p []byte)

func (w writer) Write(p []byte) (int, error) { w(p); return len(p), nil }

// note keeps as whom a process runs. The launchers, which parse nothing, stay root.
func (a *apart) note(pid int) {
	a.t.Helper()
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	status, err2 := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil || err2 != nil {
		a.t.Fatal(err, err2)
	}
	c := &syscall.Credential{}
	for line := range strings.Lines(string(status)) {
		f := strings.Fields(line)
		switch f[0] {
		case "Uid:", "Gid:":
			id, _ := strconv.Atoi(f[1])
			if slices.ContainsFunc(f[2:], func(s string) bool { return s != f[1] }) {
				a.t.Errorf("%s: %s", line, f)
			}
			if f[0] == "Uid:" {
				c.Uid = uint32(id)
			} else {
				c.Gid = uint32(id)
			}
		case "Groups:":
			for _, g := range f[1:] {
				id, _ := strconv.Atoi(g)
				c.Groups = append(c.Groups, uint32(id))
			}
		}
	}
	if c.Uid != 0 {
		a.programs[filepath.Base(strings.Split(string(line), "\x00")[0])] = c
	}
}

// can reports whether a process like that of a program can read a file or a directory.
func (a *apart) can(program, path string) bool {
	a.t.Helper()
	name := "cat"
	if st, err := os.Stat(path); err != nil {
		a.t.Fatal(err)
	} else if st.IsDir() {
		name = "ls"
	}
	cmd := exec.Command(name, path)
	cmd.Dir, cmd.SysProcAttr = "/", &syscall.SysProcAttr{Credential: a.programs[program]}
	return cmd.Run() == nil
}

// one returns the only file that a pattern below the home names.
func (a *apart) one(pattern string) string {
	a.t.Helper()
	var list []string
	err := harness.Wait(pattern, time.Minute, func() bool {
		list, _ = filepath.Glob(filepath.Join(a.home, pattern))
		return len(list) > 0
	})
	if err != nil {
		log, _ := os.ReadFile(a.home + "/log/mail.log")
		a.t.Fatalf("%v\n%s", err, log)
	}
	return list[0]
}

// send hands a message to sendmail as a user of the machine.
func (a *apart) send(to string) {
	a.t.Helper()
	cmd := exec.Command(a.dir+"/bin/sendmail", to)
	cmd.Env, cmd.Dir = []string{"PAPERPATH_HOME=" + a.home}, "/"
	cmd.Stdin = strings.NewReader("Subject: after\n\nafter\n")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 60001, Gid: 60001}}
	if out, err := cmd.CombinedOutput(); err != nil {
		a.t.Fatalf("%v: %s", err, out)
	}
}

// A home of one user becomes one with a user for each program. Mail goes through all of them, and
// none can read what is not for it.
func TestAUserForEachProgram(t *testing.T) {
	a := startApart(t)
	a.send("alice@example.net")
	a.send("bob@elsewhere.test")
	if err := harness.Wait("the relayed message", time.Minute, func() bool { return len(a.relayed.Received()) == 1 }); err != nil {
		log, _ := os.ReadFile(a.home + "/log/mail.log")
		t.Fatalf("%v\n%s", err, log)
	}
	box := "mail/example.net/alice/Maildir/new/"
	err := harness.Wait("both messages", time.Minute, func() bool {
		list, _ := filepath.Glob(filepath.Join(a.home, box+"*"))
		return len(list) == 2
	})
	if err != nil {
		t.Fatal(err)
	}
	message, key := a.one(box+"*"), a.one("control/dkim/*/*.pem")
	const all = "mailsubmit mailcheck mailroute maildeliver mailrelay pop3d"
	for path, readers := range map[string]string{
		a.home + "/control/domains":        all,
		a.home + "/control/users":          "mailsubmit mailroute maildeliver pop3d",
		a.one("control/tls/*/privkey.pem"): "mailsubmit pop3d",
		a.home + "/control/dkim":           "mailrelay",
		key:                                "mailrelay",
		a.home + "/control/relay-logins":   "mailrelay",
		a.home + "/spool":                  "mailsubmit mailcheck mailroute maildeliver mailrelay",
		a.home + "/spool/relay/new":        "mailsubmit mailcheck mailroute maildeliver mailrelay",
		a.home + "/mail":                   "mailroute maildeliver pop3d",
		message:                            "mailroute maildeliver pop3d",
		a.home + "/" + filepath.Dir(strings.TrimSuffix(box, "/")): "mailroute maildeliver pop3d",
	} {
		for program := range strings.FieldsSeq(all) {
			if a.programs[program] == nil {
				t.Fatalf("%s does not run as a user", program)
			}
			if got := a.can(program, path); got != slices.Contains(strings.Fields(readers), program) {
				t.Errorf("%s can read %s: %v", program, path, got)
			}
		}
	}
	uids := map[uint32]string{}
	for program, c := range a.programs {
		if other := uids[c.Uid]; other != "" {
			t.Errorf("%s and %s have the same user", program, other)
		}
		uids[c.Uid] = program
	}
	fetched, err := harness.Pop(a.pop, "alice@example.net", "secret", true)
	if err != nil || len(fetched) != 2 {
		t.Errorf("fetched %d messages, %v", len(fetched), err)
	}
	log, err := os.ReadFile(a.home + "/log/mail.log")
	if err != nil || bytes.Contains(log, []byte("event=unconfined")) || bytes.Contains(log, []byte("event=trouble")) {
		t.Errorf("the log has trouble: %v\n%s", err, log)
	}
	for want, file := range map[string]string{
		"spool had mode 0700, now 0750 and group ppspool":                "said",
		"control/dkim belongs to pprelay alone now":                      "said",
		"relay-logins: not looked at: only mailrelay's user can read it": "content",
		"control/domains: has mode 0600 and gid":                         "worried",
		"spool: has mode 0750 and gid":                                   "worried",
	} {
		if text, _ := os.ReadFile(filepath.Join(a.dir, file)); !bytes.Contains(text, []byte(want)) {
			t.Errorf("no %q in what %s: %s", want, file, text)
		}
	}
	if text, _ := os.ReadFile(a.dir + "/content"); bytes.HasPrefix(text, []byte("warning: ")) {
		t.Errorf("mailctl check is not content: %s", text)
	}
}
