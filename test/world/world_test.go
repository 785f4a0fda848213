// Package world tests mailrelay on a network of its own, where it finds other people's
// mail servers as it does in the world: by a DNS server, at addresses of their own, on
// port 25. The servers come from test/peers/fetch.sh.
//
// The tests run in one network namespace, with the programs; the servers run in another.
// A pair of veth joins the two. No other namespace is needed.
package world

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"paperpath/test/harness"
)

var programs harness.Programs

// inside is set in the environment of the tests that run in a namespace.
const inside = "PAPERPATH_WORLD"

// TestMain runs the tests in a network namespace of their own.
func TestMain(m *testing.M) {
	if os.Getenv(inside) == "" {
		os.Exit(enter())
	}
	os.Exit(harness.Main(m, &programs))
}

// enter runs this program again, in a new network namespace.
func enter() int {
	what := ""
	for _, tool := range []string{"ip", "nsenter"} {
		if _, err := exec.LookPath(tool); err != nil {
			what = tool + " (test/world)"
		}
	}
	if os.Getuid() != 0 {
		what = "root, for network namespaces (test/world)"
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"=yes")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if what == "" {
		// Orphans become children of this process, which ends them.
		err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
		if err = errors.Join(err, cmd.Start()); err != nil {
			what = fmt.Sprintf("network namespaces (test/world): %v", err)
		}
	}
	if what != "" {
		if harness.Missing(what) {
			return 1
		}
		return 0
	}
	err := cmd.Wait()
	for _, pid := range harness.Descendants(os.Getpid()) { // what tests have left that ended too early
		syscall.Kill(pid, syscall.SIGKILL)
	}
	if err != nil {
		return 1
	}
	return 0
}

// world is a network with our host and others.
type world struct {
	t    *testing.T
	dir  string // of all servers; other users may pass
	out  namespace
	sink *harness.Sink // where the servers send what they get
	home *harness.Home
}

const (
	alice    = "alice@" + harness.Domain
	ourAddr  = "192.0.2.1"
	nameAddr = "192.0.2.53"
	sinkAddr = "192.0.2.70"
)

// newWorld makes the network, the name server, and a home that asks it.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), out: newNamespace(t)}
	for dir := w.dir; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	w.names()
	w.out.do(t, func() error {
		var err error
		w.sink, err = harness.NewSinkAt(sinkAddr+":0", "ok")
		return err
	})
	t.Cleanup(func() { w.sink.Close() })
	var err error
	if w.home, err = programs.NewHome(filepath.Join(w.dir, "home"), "alice"); err != nil {
		t.Fatal(err)
	}
	w.set("resolver", nameAddr+":53")
	return w
}

func (w *world) set(name string, rows ...string) {
	w.t.Helper()
	if err := w.home.Set(name, rows...); err != nil {
		w.t.Fatal(err)
	}
}

// submit queues a message from alice.
func (w *world) submit(message []byte, to ...string) {
	w.t.Helper()
	args := append([]string{"-i", "-f", alice, "--"}, to...)
	if _, err := programs.Must(w.home.Dir, strings.NewReader(string(message)), "sendmail", args...); err != nil {
		w.t.Fatal(err)
	}
}

// run runs stages, each once.
func (w *world) run(stages ...string) {
	w.t.Helper()
	for _, stage := range stages {
		if _, err := programs.Must(w.home.Dir, nil, stage, "run"); err != nil {
			w.t.Fatal(err, w.home.Describe())
		}
	}
}

// mailbox returns the messages that alice has.
func (w *world) mailbox() (all []string) {
	w.t.Helper()
	names, _ := filepath.Glob(w.home.Mailbox("alice") + "/new/*")
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, string(text))
	}
	return all
}

// missing skips the test, or fails it with CI=true.
func missing(t *testing.T, what string) {
	t.Helper()
	if harness.Missing(what) {
		t.Fatalf("%s is not there", what)
	}
	t.Skipf("%s is not there", what)
}

// unpacked returns the folder into which fetch.sh unpacked a package.
func unpacked(t *testing.T, name string) string {
	t.Helper()
	dir := harness.Unpacked(name)
	if dir == "" {
		missing(t, name+" (test/peers/fetch.sh)")
	}
	return dir
}
