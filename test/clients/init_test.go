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

	"paperpath/test/harness"
)

// init as root gives the home to somebody, and says to whom.
func TestInitAsRoot(t *testing.T) {
	dir := passable(t)
	chown(t, dir, 0)
	theirs := dir + "/carol/deep"
	if err := os.MkdirAll(theirs, 0o755); err != nil {
		t.Fatal(err)
	}
	chown(t, dir+"/carol", carolUID)
	if err := os.MkdirAll(dir+"/mounted/spool/lost+found", 0o700); err != nil {
		t.Fatal(err)
	}
	init := func(status int, words string, args ...string) {
		t.Helper()
		exit(t, dir, status, words, "", "mailctl", append([]string{"init", "--hostname", harness.Hostname}, args...)...)
	}
	init(77, "--create-user", dir+"/none")
	init(64, "no user", dir+"/none", "--owner", "no-such-user-here")
	init(64, "--create-user", dir+"/none", "--owner", "root", "--create-user")
	if _, err := os.Lstat(dir + "/none"); err == nil {
		t.Error("a refused init has made something")
	}
	init(0, fmt.Sprint("belongs to uid ", ownerUID), dir+"/above/named", "--owner", strconv.Itoa(ownerUID))
	init(0, "as "+theirs+" does", theirs+"/mail/home")
	init(0, "", dir+"/mounted", "--owner", strconv.Itoa(ownerUID))
	init(0, "control/root allows", dir+"/roots", "--owner", "root")
	for home, uid := range map[string]int{"/above/named": ownerUID, "/carol/deep/mail/home": carolUID, "/mounted": ownerUID, "/roots": 0} {
		filepath.WalkDir(dir+home, func(path string, _ os.DirEntry, err error) error {
			if err != nil || ownerOf(t, path) != uid && filepath.Base(path) != "lost+found" {
				t.Errorf("%s is not uid %d's, %v", path, uid, err)
			}
			return nil
		})
		for sub, mode := range map[string]os.FileMode{"": 0o711, "/run": 0o711, "/control": 0o700} {
			if st, err := os.Stat(dir + home + sub); err != nil || st.Mode().Perm() != mode {
				t.Errorf("%s%s: %v, %v", home, sub, st.Mode(), err)
			}
		}
		_, err := os.Lstat(dir + home + "/control/root")
		if (err == nil) != (uid == 0) {
			t.Errorf("%s: control/root: %v", home, err)
		}
	}
	// Run again it mends what has been changed, keeps the owner and says both.
	if err := os.Chmod(dir+"/above/named/run", 0o502); err != nil {
		t.Fatal(err)
	}
	init(0, "/run had mode 0502, now 0711", dir+"/above/named")
	init(0, "as before", dir+"/roots")
	init(77, "is a home of uid 61001", dir+"/above/named", "--owner", strconv.Itoa(carolUID))
	init(77, "is a home of uid 0", dir+"/roots", "--owner", strconv.Itoa(carolUID))
}

// In a root directory that holds nothing but mailctl there is no account, and
// nothing that makes one.
func TestInitInBareChroot(t *testing.T) {
	root := passable(t)
	text, err := os.ReadFile(programs.Path("mailctl"))
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(os.WriteFile(root+"/mailctl", text, 0o755), os.Mkdir(root+"/srv", 0o755))
	if err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (int, string) {
		cmd := exec.Command("/mailctl", append([]string{"init", "--hostname", harness.Hostname, "/srv/home"}, args...)...)
		cmd.Dir, cmd.Env, cmd.SysProcAttr = "/", []string{}, &syscall.SysProcAttr{Chroot: root}
		out, _ := cmd.CombinedOutput()
		return cmd.ProcessState.ExitCode(), string(out)
	}
	if code, out := run("--create-user"); code != 75 || !strings.Contains(out, "neither useradd nor adduser") {
		t.Errorf("--create-user: %d %q", code, out)
	}
	if code, out := run("--owner", "1234"); code != 0 || ownerOf(t, root+"/srv/home/spool") != 1234 {
		t.Errorf("--owner: %d %q", code, out)
	}
}

// --create-user makes the user with the machine's own tool, on a copy of /etc.
func TestInitCreatesUser(t *testing.T) {
	dir := passable(t)
	need(t, "unshare")
	need(t, "useradd")
	script := `cp -a /etc "$0/etc" && mount --bind "$0/etc" /etc || exit 99
sed -i '/^paperpath:/d; /^pp/d' /etc/passwd /etc/shadow /etc/group /etc/gshadow
mailctl init "$0/home" --hostname mx.example.net --create-user && mailctl init "$0/again" --hostname mx.example.net &&
echo secret | mailctl init "$0/null" --hostname mx.example.net --create-user --smarthost smtp.example.org --user a@example.org --password-stdin &&
getent passwd paperpath && stat -c '%n %U %G' "$0/home/spool" "$0/again/spool" &&
stat -c '%n %U %a' "$0/null/control/relay-logins" "$0/null/control/relay-logins/smtp.example.org"`
	cmd := exec.Command("unshare", "--mount", "sh", "-c", script, dir)
	cmd.Env = programs.Env(dir)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() == 99 || bytes.HasPrefix(out, []byte("unshare: ")) {
		if harness.Missing("mounts (mailctl init --create-user)") {
			t.Fatal("this test needs mounts")
		}
		t.Skipf("no mounts: %s", out)
	}
	for _, want := range []string{"ran: ", "useradd", dir + "/home/spool paperpath ppspool\n", dir + "/again/spool paperpath paperpath\n", "nologin",
		dir + "/null/control/relay-logins pprelay 700\n", dir + "/null/control/relay-logins/smtp.example.org pprelay 600\n"} {
		if err != nil || !strings.Contains(string(out), want) {
			t.Fatalf("%v, no %q: %s", err, want, out)
		}
	}
}
