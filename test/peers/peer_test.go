// Package peers tests the servers with mail programs that other people wrote:
// complete mail servers that relay to and from the built programs, load
// generators, and client libraries. fetch.sh fetches the servers.
package peers

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/test/harness"
)

var programs harness.Programs

func TestMain(m *testing.M) { os.Exit(harness.Main(m, &programs)) }

const (
	alice  = "alice@example.net"
	bob    = "bob@example.net"
	sender = harness.Carol // unknown on every host here
)

// newHome returns a home with alice and bob that is not started yet.
func newHome(t *testing.T) *harness.Home {
	t.Helper()
	h, err := programs.NewHome(t.TempDir()+"/home", "alice", "bob")
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func set(t *testing.T, h *harness.Home, name string, rows ...string) {
	t.Helper()
	if err := h.Set(name, rows...); err != nil {
		t.Fatal(err)
	}
}

func start(t *testing.T, h *harness.Home) *harness.System {
	t.Helper()
	system, err := h.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := system.Stop(); err != nil {
			t.Error(err)
		}
	})
	return system
}

// missing skips the test, or fails it with CI=true.
func missing(t *testing.T, what string) {
	t.Helper()
	if harness.Missing(what) {
		t.Fatalf("%s is not there", what)
	}
	t.Skipf("%s is not there", what)
}

// unpacked returns the folder into which fetch.sh unpacked a server.
func unpacked(t *testing.T, name string) string {
	t.Helper()
	dir, err := filepath.Abs("../../.build/peers/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err != nil {
		missing(t, name+" (test/peers/fetch.sh)")
	}
	if os.Getuid() != 0 {
		missing(t, "root to run "+name)
	}
	return dir
}

// peer is another mail server that runs from its unpacked package.
type peer struct {
	name, dir, addr string
}

// server is how a peer is set up: the files laid over its package, the users and groups
// that it knows, and the command that starts it.
type server struct {
	files         map[string]string
	passwd, group string
	command       string // for sh
}

// startPeer runs a server until the end of the test and returns once it
// accepts connections at addr.
func startPeer(t *testing.T, name, addr string, s server) *peer {
	t.Helper()
	unpacked(t, name)
	p := &peer{name, t.TempDir(), addr}
	// Servers give up root and must still reach their files.
	if err := os.Chmod(filepath.Dir(p.dir), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd, err := harness.Overlay{Dir: p.dir, Package: name, Files: s.files, Passwd: s.passwd, Group: s.group}.Command("/bin/sh", "-c", s.command)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(p.dir+"/log", 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(p.dir + "/output")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { cmd.Wait(); close(done) }()
	t.Cleanup(func() {
		cmd.Process.Kill() // its whole namespace ends with it
		<-done
		if t.Failed() {
			t.Log(p.describe())
		}
	})
	awaitPort(t, name, addr)
	return p
}

// log returns what the server wrote to its log and its standard output.
func (p *peer) log() string {
	var all strings.Builder
	names, _ := filepath.Glob(p.dir + "/log/*")
	for _, name := range append(names, p.dir+"/output") {
		text, _ := os.ReadFile(name)
		all.Write(text)
	}
	return all.String()
}

func (p *peer) describe() string {
	lines := strings.Split(p.log(), "\n")
	if n := len(lines); n > 60 {
		lines = lines[n-60:]
	}
	return fmt.Sprintf("%s said last:\n%s", p.name, strings.Join(lines, "\n"))
}

// awaitPort waits until a server accepts connections at addr.
func awaitPort(t *testing.T, name, addr string) {
	t.Helper()
	err := harness.Wait(name+" at "+addr, time.Minute, func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
