package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// TestMain is the program behind the walls where the environment says so.
func TestMain(m *testing.M) {
	if name := os.Getenv("SANDBOX_PROGRAM"); name != "" {
		behind(name, os.Getenv("SANDBOX_HOME"), os.Getenv("SANDBOX_EXECUTES") != "", os.Getenv("SANDBOX_ADDR"))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// behind prints what a program can do behind its walls, a word each.
func behind(name, home string, executes bool, addr string) {
	w, ok := Of(name)
	if !ok {
		fmt.Print("none")
		return
	}
	if executes {
		w.Connects, w.Binds, w.Executes = true, true, true
	}
	if err := Raise(w, home); err != nil {
		fmt.Print(err)
		return
	}
	try := func(what string, err error) {
		switch {
		case err == nil:
			fmt.Print(what, " ")
		case !errors.Is(err, syscall.EACCES):
			fmt.Printf("(%s: %v) ", what, err)
		}
	}
	for _, part := range []string{"control", "mail", "spool", "run"} {
		_, err := os.ReadFile(filepath.Join(home, part, "file"))
		try("read-"+part, err)
		try("write-"+part, os.WriteFile(filepath.Join(home, part, name), nil, 0o600))
	}
	_, err := os.ReadFile("/etc/passwd")
	try("read-etc", err)
	try("exec", exec.Command("/bin/true").Run())
	try("connect", dial(addr))
	var plain net.ListenConfig
	plain.SetMultipathTCP(false) // which Landlock does not see
	l, err := plain.Listen(context.Background(), "tcp", "127.0.0.1:"+os.Getenv("SANDBOX_PORT"))
	if err == nil {
		l.Close()
	}
	try("bind", err)
	try("rename", os.Rename(filepath.Join(home, "run/a", name), filepath.Join(home, "run/b", name)))
}

func dial(addr string) error {
	c, err := net.Dial("tcp", addr)
	if err == nil {
		c.Close()
	}
	return err
}

// TestWalls raises the walls of each program in a process of its own, which then tries
// everything.
func TestWalls(t *testing.T) {
	abi, err := ll.LandlockGetABIVersion()
	if err != nil || abi < 4 {
		if os.Getenv("CI") != "" {
			t.Fatalf("MISSING: Landlock of ABI 4 (the kernel has %d)", abi)
		}
		t.Skipf("MISSING: Landlock of ABI 4 (the kernel has %d)", abi)
	}
	const all = "read-control write-control read-mail write-mail read-spool write-spool read-run write-run read-etc exec connect bind rename "
	for program, denied := range map[string]string{
		"mailsubmit":  "read-mail write-mail exec bind",
		"mailcheck":   "read-mail write-mail exec bind",
		"mailroute":   "exec connect bind",
		"mailrelay":   "read-mail write-mail exec bind",
		"pop3d":       "read-spool write-spool exec connect bind",
		"maildeliver": "all",
	} {
		for _, executes := range []bool{false, true} {
			want := all
			for _, word := range strings.Fields(denied) {
				if !executes || strings.HasPrefix(word, "read-") || strings.HasPrefix(word, "write-") {
					want = strings.Replace(want, word+" ", "", 1)
				}
			}
			if denied == "all" {
				want = "none"
			}
			if got := tried(t, program, executes, false); got != want {
				t.Errorf("%s (executes: %v):\n  can    %s\n  should %s", program, executes, got, want)
			}
			if executes {
				continue
			}
			if got := tried(t, program, executes, true); got != want {
				t.Errorf("%s, mail/ and spool/ by symbolic links:\n  can    %s\n  should %s", program, got, want)
			}
		}
	}
}

func tried(t *testing.T, program string, executes, linked bool) string {
	t.Helper()
	home := filepath.Join(t.TempDir(), "home")
	for _, part := range []string{"control", "mail", "spool", "run/a", "run/b"} {
		path := filepath.Join(home, part)
		if linked && (part == "mail" || part == "spool") {
			if err := os.Symlink(filepath.Join(home, "..", "elsewhere-"+part), path); err != nil {
				t.Fatal(err)
			}
			path = filepath.Join(home, "..", "elsewhere-"+part)
		}
		if err := os.MkdirAll(path, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"control/file", "mail/file", "spool/file", "run/file", "run/a/" + program} {
		if err := os.WriteFile(filepath.Join(home, file), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(free.Addr().String())
	free.Close()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "SANDBOX_PROGRAM="+program, "SANDBOX_HOME="+home, "SANDBOX_ADDR="+l.Addr().String(), "SANDBOX_PORT="+port)
	if executes {
		cmd.Env = append(cmd.Env, "SANDBOX_EXECUTES=1")
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
	return string(out)
}

// A directory with too many names on the way is an error, not a wall with holes.
func TestTooManyNames(t *testing.T) {
	dir := t.TempDir()
	for i := range maxBeside + 1 {
		if err := os.WriteFile(fmt.Sprint(dir, "/", i), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := (Walls{}).around(dir, []string{dir + "/mail"}); err == nil || !strings.Contains(err.Error(), "more than 4096 names") {
		t.Error(err)
	}
}

// Of a directory on the way that one may only pass nobody knows what would have to be allowed:
// that is an error, not walls that hide the whole home.
func TestUnreadableOnTheWay(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o111); err != nil {
		t.Fatal(err)
	}
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // to its end: it becomes another user's
		if os.Geteuid() == 0 {
			syscall.Setfsuid(65534)
		}
		_, err := (Walls{}).around(dir, []string{dir + "/home/mail"})
		failed <- err
	}()
	if err := <-failed; !errors.Is(err, fs.ErrPermission) {
		t.Error(err)
	}
}

// Nothing is beside a home that only its owner can write in, whatever path leads there.
func TestBeside(t *testing.T) {
	top := t.TempDir()
	home, link := filepath.Join(top, "a/home"), filepath.Join(top, "link")
	if err := errors.Join(os.MkdirAll(filepath.Join(home, "mail"), 0o700), os.Symlink(home, link)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{home, link} {
		if got, want := (Walls{Hidden: []string{"mail"}}).Beside(path), filepath.Dir(home); got != want {
			t.Errorf("%s: %s, not %s", path, got, want)
		}
	}
}
