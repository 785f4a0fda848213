package listen

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// systemdChild serves the sockets from descriptor 3 on.
func systemdChild() int {
	os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()))
	list, err := (&Server{TLS: new(tls.Config)}).open()
	if err != nil || !Activated() {
		fmt.Fprintln(os.Stderr, err)
		return 3
	}
	for _, l := range list {
		conn, err := l.Accept()
		if err != nil {
			return 4
		}
		fmt.Fprintln(conn, l.implicit)
		conn.Close()
	}
	return 0
}

func TestSystemd(t *testing.T) {
	cmd := stdinCommand(t)
	cmd.Env = append(os.Environ(), "LISTEN_TEST_CHILD=systemd", "LISTEN_FDS=2", "LISTEN_FDNAMES=smtp:smtp-tls")
	var addrs []string
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		file, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, file)
		addrs = append(addrs, l.Addr().String())
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"false", "true"} {
		_, r := dial(t, addrs[i])
		wantLine(t, r, want)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// A connection is not a listener: its Accept would fail for ever.
func TestSystemdConnection(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[1])
	l, err := inherit(fds[0], "smtp")
	if err == nil {
		l.Close()
		t.Error("no error")
	}
}

// One connection as descriptor 3 (Accept=yes) is taken for standard input and
// output.
func TestSystemdAccepted(t *testing.T) {
	near, far := socketpair(t)
	cmd := stdinCommand(t, "LISTEN_TEST_CHILD=accepted", "LISTEN_FDS=1")
	cmd.ExtraFiles = []*os.File{far}
	cmd.Stdout = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	far.Close()
	fmt.Fprintln(near, "line")
	text, err := io.ReadAll(near)
	if err := errors.Join(err, cmd.Wait()); err != nil {
		t.Error(err)
	}
	if got := strings.Split(string(text), "\n"); len(got) < 3 || !strings.HasPrefix(got[0], "unix") || got[2] != "timeout true" {
		t.Errorf("%q", got)
	}
}

// Variables meant for another process are not ours.
func TestSystemdOther(t *testing.T) {
	t.Setenv("LISTEN_PID", "1")
	t.Setenv("LISTEN_FDS", "1")
	if Activated() {
		t.Error("activated")
	}
}

func TestNotify(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	if err := NotifyReady(); err != nil {
		t.Error(err)
	}
	names := []string{filepath.Join(t.TempDir(), "n"), "@paperpath-test-" + strconv.Itoa(os.Getpid())}
	for _, name := range names {
		conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		t.Setenv("NOTIFY_SOCKET", name)
		if err := NotifyReady(); err != nil {
			t.Error(err)
		}
		b := make([]byte, 100)
		conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		if n, err := conn.Read(b); err != nil || string(b[:n]) != "READY=1\n" {
			t.Errorf("%s: %q, %v", name, b[:n], err)
		}
	}
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "none"))
	if err := NotifyReady(); !errors.Is(err, syscall.ENOENT) {
		t.Error(err)
	}
}
