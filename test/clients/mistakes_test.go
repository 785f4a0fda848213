package clients

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// What the wrong user asks for, or the right one too early, ends with one
// sentence that says how to get on.
func TestMistakesSayTheWayOut(t *testing.T) {
	scratch := passable(t)
	const us, other = 61234, 61235
	home, own := filepath.Join(scratch, "home"), filepath.Join(scratch, "own")
	as := func(uid uint32, status int, words, stdin string, args ...string) {
		t.Helper()
		cmd := exec.Command(programs.Path(args[0]), args[1:]...)
		cmd.Env, cmd.Stdin = programs.Env(home), strings.NewReader(stdin)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		out, _ := cmd.CombinedOutput()
		last := string(out[strings.LastIndexByte(strings.TrimSuffix(string(out), "\n"), '\n')+1:])
		if cmd.ProcessState.ExitCode() != status || !strings.Contains(last, words) {
			t.Errorf("uid %d: %q: exit status %d, %s; want %d, %q", uid, args, cmd.ProcessState.ExitCode(), out, status, words)
		}
		if status != 0 && strings.Contains(string(out), "=> ") {
			t.Errorf("uid %d: %q knows an outcome: %s", uid, args, out)
		}
	}
	as(0, 0, "", "", "mailctl", "init", home, "--owner", "61234", "--hostname", "mx.example.net")
	if err := os.Mkdir(own, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(own, other, other); err != nil {
		t.Fatal(err)
	}
	const owned = "belongs to uid 61234: run this as that user, or as root)"
	for _, words := range []string{"mailctl queue", "mailctl start", "mailctl user add a@mx.example.net", "mailctl init " + home +
		" --hostname mx.example.net", "mailctl check", "mailcheck run", "mailroute explain a@mx.example.net", "maildeliver explain a@mx.example.net",
		"mailsubmit explain a@mx.example.net", "sendmail -bv a@mx.example.net", "pop3d expire", "sendmail -bp"} {
		as(other, 77, owned, "", strings.Fields(words)...)
	}
	as(other, 77, "belongs to root: run this as root)", "", "mailctl", "init", scratch+"/none", "--hostname", "mx.example.net")
	as(other, 77, "only root makes", "", "mailctl", "init", own+"/home", "--create-user", "--hostname", "mx.example.net")
	if _, err := os.Stat(own + "/home"); err == nil {
		t.Error("--create-user made a home that is not that user's")
	}
	as(other, 75, "there is no directory "+scratch+"/none", "", "mailctl", "queue", "--home", scratch+"/none")

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	as(us, 75, "another program uses it", "", "mailsubmit", "smtp", "--listen", taken.Addr().String())
	for _, way := range []string{"as root", "socket unit", "inetd", "CAP_NET_BIND_SERVICE"} {
		as(us, 77, way, "", "mailsubmit", "smtp", "--listen", portBelow1024(t))
	}

	// What root has edited with an editor that makes a new file.
	users := filepath.Join(home, "control", "users")
	if err := os.Chown(users, 0, 0); err != nil {
		t.Fatal(err)
	}
	as(0, 77, "control/users belongs to root: chown it to uid 61234)", "", "mailctl", "user", "list")
	as(0, 65, "1 error in "+home, "", "mailctl", "check")
	r, err := programs.Run(home, nil, "mailctl", "check")
	if want := "error: control/users: permission denied (the owner of the home must be able to read it: chown or chmod it)\n"; err != nil ||
		!strings.HasPrefix(r.Stdout, want) {
		t.Errorf("%+v, %v; want %q", r, err, want)
	}
}

// A run/ that was lost is made again, as open as the home.
func TestLostRunIsMadeAgain(t *testing.T) {
	scratch := passable(t)
	for _, mode := range []os.FileMode{0o700, 0o711} {
		home := filepath.Join(scratch, mode.String())
		exit(t, home, 0, "", "", "mailctl", "init", home, "--owner", "61234", "--hostname", "mx.example.net")
		if err := os.Chmod(home, mode); err != nil {
			t.Fatal(err)
		}
		run := filepath.Join(home, "run")
		if err := os.RemoveAll(run); err != nil {
			t.Fatal(err)
		}
		exit(t, home, 75, "mailctl init makes what is missing", "", "mailctl", "start")
		exit(t, home, 0, "", "", "mailroute", "run")
		if info, err := os.Stat(run); err != nil || info.Mode().Perm()&0o001 != mode&0o001 {
			t.Errorf("home %v: run/ %v, %v", mode, info.Mode(), err)
		}
	}
}
