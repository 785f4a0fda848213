package peers

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/test/harness"
)

// machine is one where /usr/sbin/sendmail is ours, and whose home is that of a
// running system: programs on it find sendmail as they always do.
type machine struct {
	*harness.Home
	overlay harness.Overlay
}

// newMachine starts a system that serves the machine's users by run/submit.
func newMachine(t *testing.T) *machine {
	t.Helper()
	unpacked(t, "clients")
	dir := t.TempDir()
	m := &machine{overlay: harness.Overlay{Dir: dir, Package: "clients", Passwd: "joe:x:64010:64010::/peer:/bin/sh\n", Group: "joe:x:64010:\n"}}
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	var err error
	if m.Home, err = programs.NewHome(dir+"/home", "alice", "bob"); err != nil {
		t.Fatal(err)
	}
	start(t, m.Home)
	program, err := os.ReadFile(programs.Path("mailsubmit"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir+"/root/usr/sbin", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/root/usr/sbin/sendmail", program, 0o755); err != nil {
		t.Fatal(err)
	}
	return m
}

// command is one for sh on the machine.
func (m *machine) command(t *testing.T, script string) *exec.Cmd {
	t.Helper()
	cmd, err := m.overlay.Command("/bin/sh", "-c", script)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), "PAPERPATH_HOME=/peer/home", "HOME=/peer", "LC_ALL=C.UTF-8")
	return cmd
}

// arrived waits for a message to alice that holds text.
func (m *machine) arrived(t *testing.T, text string, limit time.Duration) string {
	t.Helper()
	var got string
	err := harness.Wait("mail with "+text, limit, func() bool {
		for _, name := range m.Glob("mail/example.net/alice/Maildir/new/*") {
			if data, _ := os.ReadFile(name); strings.Contains(string(data), text) {
				got = string(data)
			}
		}
		return got != ""
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, m.Describe())
	}
	return got
}

func holds(t *testing.T, message string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(message, w) {
			t.Errorf("%q is not in:\n%s", w, message)
		}
	}
}

func TestBsdMailx(t *testing.T) {
	m := newMachine(t)
	for text, as := range map[string]string{"by the owner": "", "by another": "setpriv --reuid=64010 --regid=64010 --clear-groups --no-new-privs "} {
		out, err := m.command(t, "printf '"+text+"\\n.\\nbehind a dot\\n' | "+as+"bsd-mailx -s 'a subject' -b bob@example.net alice@example.net").CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		got := m.arrived(t, text, time.Minute)
		holds(t, got, "Subject: a subject\n", "To: alice@example.net\n", "\nbehind a dot\n", "\nDate: ", "\nFrom: ")
		if strings.Contains(got, "Bcc") || strings.Contains(got, "bob@") {
			t.Errorf("the blind copy shows:\n%s", got)
		}
	}
	if len(m.Events("event=accepted", "uid=64010", "client=unix", "from=joe@example.net")) != 1 {
		t.Error(m.Describe())
	}
}

// TestCron waits for Debian's cron, which looks at the crontab once a minute.
func TestCron(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.overlay.Files = map[string]string{
		"etc/crontab": "MAILTO=alice@example.net\nPAPERPATH_HOME=/peer/home\n" +
			"* * * * * root echo output of root\n* * * * * joe printf 'output of joe\\r\\n.\\nlast'\n",
		"etc/pam.d/cron": "auth required pam_permit.so\naccount required pam_permit.so\nsession required pam_permit.so\n",
	}
	cmd := m.command(t, "rm -rf /etc/cron.d /var/spool/cron; mkdir -p /var/spool/cron/crontabs; exec cron -f")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Kill() // its whole namespace ends with it
		cmd.Wait()
	}()
	holds(t, m.arrived(t, "output of root", 3*time.Minute), "From: root@example.net (Cron Daemon)\n", "Subject: Cron <root@", "Return-Path: <root@example.net>")
	holds(t, m.arrived(t, "output of joe", time.Minute), "Return-Path: <joe@example.net>\n", "Subject: Cron <joe@", "\noutput of joe\n.\nlast\n")
	if len(m.Events("event=accepted", "client=unix", "uid=64010")) != 1 {
		t.Error(m.Describe())
	}
}
