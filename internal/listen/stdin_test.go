package listen

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test binary is the child of some tests.
func TestMain(m *testing.M) {
	switch os.Getenv("LISTEN_TEST_CHILD") {
	case "stdin":
		os.Exit(stdinChild())
	case "accepted":
		os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()))
		os.Exit(stdinChild())
	case "systemd":
		os.Exit(systemdChild())
	}
	os.Exit(m.Run())
}

// stdinChild prints who the client is, waits 50 ms for a line, prints it, and then runs
// into a deadline.
func stdinChild() int {
	conn, err := Stdin(os.Stdin, os.Stdout)
	if wrapper := os.Getenv("LISTEN_TEST_WRAPPER"); err == nil && wrapper != "" {
		conn, err = Wrapped(conn, wrapper)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer conn.Close()
	fmt.Fprintf(conn, "%s %s\n", conn.RemoteAddr().Network(), conn.RemoteAddr())
	line, _ := bufio.NewReader(conn).ReadString('\n')
	fmt.Fprintf(conn, "read %q\n", line)
	if err := conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		fmt.Fprintln(conn, err)
	}
	_, err = conn.Read(make([]byte, 1))
	fmt.Fprintln(conn, "timeout", errors.Is(err, os.ErrDeadlineExceeded))
	return 0
}

func stdinCommand(t *testing.T, env ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(append(os.Environ(), "LISTEN_TEST_CHILD=stdin"), env...)
	cmd.Stderr = os.Stderr
	return cmd
}

// talk starts the child, sends a line to w, and reads all from r.
func talk(t *testing.T, cmd *exec.Cmd, w io.Writer, r io.Reader) []string {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, f := range []any{cmd.Stdin, cmd.Stdout} {
		if f, ok := f.(*os.File); ok {
			f.Close()
		}
	}
	if w != nil {
		fmt.Fprintln(w, "line")
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

func wantTalk(t *testing.T, got []string, remote string) {
	t.Helper()
	want := []string{remote, `read "line\n"`, "timeout true"}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestStdinTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	near, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	file, err := far.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	far.Close()
	// The environment is not believed where the socket knows better.
	cmd := stdinCommand(t, "TCPREMOTEIP=192.0.2.7")
	cmd.Stdin, cmd.Stdout = file, file
	wantTalk(t, talk(t, cmd, near, near), "tcp "+near.LocalAddr().String())
}

func socketpair(t *testing.T) (near net.Conn, far *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fds[0]), "near")
	defer f.Close()
	if near, err = net.FileConn(f); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close() })
	return near, os.NewFile(uintptr(fds[1]), "far")
}

func TestStdinUnix(t *testing.T) {
	near, far := socketpair(t)
	cmd := stdinCommand(t)
	cmd.Stdin, cmd.Stdout = far, far
	if got := talk(t, cmd, near, near); !strings.HasPrefix(got[0], "unix") {
		t.Errorf("%q", got)
	}
}

// Standard input and output are two sockets: the environment is not believed.
func TestStdinTwoSockets(t *testing.T) {
	nearIn, farIn := socketpair(t)
	nearOut, farOut := socketpair(t)
	cmd := stdinCommand(t, "TCPREMOTEIP=192.0.2.7")
	cmd.Stdin, cmd.Stdout = farIn, farOut
	got := talk(t, cmd, nearIn, nearOut)
	if len(got) != 3 || !strings.HasPrefix(got[0], "unix") || got[2] != "timeout true" {
		t.Errorf("%q", got)
	}
}

// Pipes have no address, whatever the environment says, unless a wrapper is named.
func TestStdinPipes(t *testing.T) {
	for _, tt := range []struct {
		wrapper, want string
		env           []string
	}{
		{"", "stdin stdin", []string{"TCPREMOTEIP=192.0.2.7", "REMOTE_HOST=192.0.2.7", "REMOTE_ADDR=192.0.2.7"}},
		{"tcpserver", "tcp 192.0.2.7:4711", []string{"TCPREMOTEIP=192.0.2.7", "TCPREMOTEPORT=4711"}},
		{"s6", "tcp 192.0.2.7:0", []string{"PROTO=TCP", "TCPREMOTEIP=::ffff:192.0.2.7"}},
		{"s6", "tcp [2001:db8::1]:25", []string{"PROTO=TCP6", "TCP6REMOTEIP=2001:db8::1", "TCP6REMOTEPORT=25", "TCPREMOTEIP=192.0.2.7"}},
		{"xinetd", "tcp [2001:db8::1]:0", []string{"REMOTE_HOST=2001:db8::1"}},
		{"systemd", "tcp 192.0.2.7:9", []string{"REMOTE_ADDR=192.0.2.7", "REMOTE_PORT=9"}},
	} {
		inR, inW, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		outR, outW, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd := stdinCommand(t, append(tt.env, "LISTEN_TEST_WRAPPER="+tt.wrapper)...)
		cmd.Stdin, cmd.Stdout = inR, outW
		wantTalk(t, talk(t, cmd, inW, outR), tt.want)
		inW.Close()
		outR.Close()
	}
}

// Missing or invalid variables of the named wrapper are an error, not a caller on this
// machine.
func TestWrappedErrors(t *testing.T) {
	for _, tt := range []struct{ wrapper, name, value string }{
		{"tcpserver", "X", ""}, {"tcpserver", "REMOTE_HOST", "192.0.2.7"}, {"tcpserver", "TCPREMOTEIP", "localhost"},
		{"tcpserver", "TCPREMOTEIP", "fe80::1%eth0"}, {"tcpserver", "PROTO", "HOME"}, {"s6", "TCP6REMOTEIP", "::1"},
		{"xinetd", "REMOTE_HOST", "evil.test\nx"}, {"systemd", "REMOTE_HOST", "192.0.2.7"}, {"nobody", "TCPREMOTEIP", "192.0.2.7"},
	} {
		t.Run(tt.wrapper+" "+tt.name, func(t *testing.T) {
			for _, name := range []string{"PROTO", "TCPREMOTEIP", "TCP6REMOTEIP", "REMOTE_HOST", "REMOTE_ADDR"} {
				t.Setenv(name, "")
			}
			t.Setenv(tt.name, tt.value)
			if conn, err := Wrapped(&forwarded{}, tt.wrapper); err == nil || conn != nil {
				t.Errorf("%v, %v", conn, err)
			}
		})
	}
}

// What a wrapper may say beside the address, and what is private then.
func TestWrapped(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	for _, tt := range []struct {
		ip, relay, ssl string
		host           string
		private        bool
	}{
		{"192.0.2.7", "", "", "mail.far.example", false},
		{"127.0.0.1", "x", "", "", true},
		{"192.0.2.7", "x", "TLSv1.3", "", true},
	} {
		t.Run(tt.ip+tt.ssl, func(t *testing.T) {
			t.Setenv("TCPREMOTEIP", tt.ip)
			t.Setenv("TCPREMOTEHOST", tt.host)
			t.Setenv("SSL_PROTOCOL", tt.ssl)
			if tt.relay != "" {
				t.Setenv("RELAYCLIENT", "")
			}
			conn, err := Wrapped(near, "tcpserver")
			if err != nil {
				t.Fatal(err)
			}
			if MayRelay(conn) != (tt.relay != "") || Host(conn) != tt.host || Private(conn) != tt.private || ClientName(conn) != tt.ip {
				t.Errorf("relay %v, host %q, private %v, client %s", MayRelay(conn), Host(conn), Private(conn), ClientName(conn))
			}
		})
	}
	if MayRelay(near) || Host(near) != "" || !Private(near) {
		t.Error("a pipe is more than it is")
	}
}

// A script as standard input, a file as output: no deadlines, but no error.
func TestStdinFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "in")
	if err := os.WriteFile(path, []byte("line\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := stdinCommand(t, "TCPREMOTEIP=", "REMOTE_HOST=")
	cmd.Stdin, cmd.Stdout = in, out
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	text, _ := os.ReadFile(out.Name())
	if want := "stdin stdin\nread \"line\\n\"\ntimeout false\n"; string(text) != want {
		t.Errorf("%q", text)
	}
}

// Other processes that have the same pipe open find it blocking again.
func TestStdinRestores(t *testing.T) {
	fds := make([]int, 2)
	if err := unix.Pipe2(fds, unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	r, w := os.NewFile(uintptr(fds[0]), "r"), os.NewFile(uintptr(fds[1]), "w")
	defer r.Close()
	defer w.Close()
	conn, err := Stdin(r, w)
	if err != nil {
		t.Fatal(err)
	}
	if !nonblocking(fds[0]) || !nonblocking(fds[1]) {
		t.Error("the pipe blocks")
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	if nonblocking(fds[0]) || nonblocking(fds[1]) {
		t.Error("the pipe was left non-blocking")
	}
}

func TestStdinClosed(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	if conn, err := Stdin(r, w); err == nil {
		conn.Close()
		t.Error("no error")
	}
}
