package world

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/test/harness"
)

// addresses are those of the other hosts.
var addresses = []string{nameAddr, sinkAddr, refusing, postfixAddr, secondAddr, eximAddr, opensmtpdAddr,
	dovecotAddr, postfixAddr6, eximAddr6, refusing6}

// namespace is a network namespace, held by a process.
type namespace int

// newNamespace makes the namespace of the servers, with its addresses, and joins it to
// the one that the test runs in.
func newNamespace(t *testing.T) namespace {
	t.Helper()
	holder := exec.Command("cat") // until its standard input ends, as it does when the test is killed
	stdin, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stdin.Close(); holder.Wait() })
	n := namespace(holder.Process.Pid)
	must(t, exec.Command("ip", "link", "set", "lo", "up"))
	must(t, exec.Command("ip", "link", "add", "world", "type", "veth",
		"peer", "name", "out", "netns", n.pid()))
	for _, a := range []string{ourAddr + "/24", "2001:db8::1/64"} {
		must(t, exec.Command("ip", "addr", "add", a, "dev", "world", "nodad"))
	}
	must(t, exec.Command("ip", "link", "set", "world", "up"))
	must(t, n.command("ip", "link", "set", "lo", "up"))
	for _, a := range addresses {
		bits := "/24"
		if strings.Contains(a, ":") {
			bits = "/64"
		}
		must(t, n.command("ip", "addr", "add", a+bits, "dev", "out", "nodad"))
	}
	must(t, n.command("ip", "link", "set", "out", "up"))
	t.Cleanup(func() { exec.Command("ip", "link", "del", "world").Run() })
	return n
}

func must(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v: %s", cmd.Args, err, out)
	}
}

func (n namespace) pid() string { return strconv.Itoa(int(n)) }

// command returns a command that runs in the namespace.
func (n namespace) command(name string, args ...string) *exec.Cmd {
	return exec.Command("nsenter", append([]string{"--net=/proc/" + n.pid() + "/ns/net", "--", name}, args...)...)
}

// move makes cmd run in the namespace.
func (n namespace) move(cmd *exec.Cmd) *exec.Cmd {
	moved := n.command(cmd.Path, cmd.Args[1:]...)
	moved.Env, moved.Dir = cmd.Env, cmd.Dir
	return moved
}

// do calls f in the namespace: sockets that it opens belong there.
func (n namespace) do(t *testing.T, f func() error) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		ns, err := os.Open("/proc/" + n.pid() + "/ns/net")
		if err == nil {
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
			ns.Close()
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// server is a process in the namespace.
type server struct {
	name   string
	what   *exec.Cmd // as it would run without a namespace
	at     []string
	cmd    *exec.Cmd
	output bytes.Buffer
	log    string // a file or a folder of its own, or ""
	done   chan struct{}
}

// serve runs cmd in the namespace until the end of the test, and waits until it accepts
// connections at each of the addresses.
func (w *world) serve(name string, cmd *exec.Cmd, log string, at ...string) *server {
	w.t.Helper()
	s := &server{name: name, what: cmd, log: log, at: at}
	s.again(w)
	w.t.Cleanup(func() {
		s.stop()
		if w.t.Failed() {
			w.t.Log(s.describe())
		}
	})
	return s
}

// again starts the server, for the first time or after stop.
func (s *server) again(w *world) {
	w.t.Helper()
	s.cmd, s.done = w.out.move(s.what), make(chan struct{})
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s.cmd.Stdout, s.cmd.Stderr = &s.output, &s.output
	s.cmd.WaitDelay = time.Second // its children have the pipe, too
	if err := s.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	cmd, done := s.cmd, s.done
	go func() { cmd.Wait(); close(done) }()
	for _, addr := range s.at {
		err := harness.Wait(s.name+" at "+addr, time.Minute, func() bool {
			c, err := net.DialTimeout("tcp", addr, time.Second)
			if err == nil {
				c.Close()
			}
			return err == nil
		})
		if err != nil {
			w.t.Fatal(err, s.describe())
		}
	}
}

// stop ends the server with all its processes.
func (s *server) stop() {
	pids := append(harness.Descendants(s.cmd.Process.Pid), s.cmd.Process.Pid)
	s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.done:
	case <-time.After(2 * time.Second):
	}
	for _, pid := range pids {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	<-s.done
}

func (s *server) describe() string {
	text := s.logged()
	return s.name + " said last:\n" + text[max(0, len(text)-4000):]
}

// logged is all that the server has logged to files, and printed if it has ended.
func (s *server) logged() string {
	var all strings.Builder
	filepath.WalkDir(s.log, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			text, _ := os.ReadFile(path)
			all.Write(text)
		}
		return nil
	})
	select {
	case <-s.done:
		all.WriteString(s.output.String())
	default:
	}
	return all.String()
}
