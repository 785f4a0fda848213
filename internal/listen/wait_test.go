package listen

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"paperpath/internal/maillog"
)

// waitHelper makes this test's program a server on standard input.
const waitHelper = "LISTEN_TEST_WAIT"

// TestWaitHelper is the other process of TestWait.
func TestWaitHelper(t *testing.T) {
	if os.Getenv(waitHelper) == "" {
		t.Skip("it is for TestWait")
	}
	s := &Server{Addrs: []string{StdinAddr}, Idle: 200 * time.Millisecond, Log: maillog.To(os.Stderr, "test", time.Now),
		Handle: func(_ context.Context, c net.Conn, _ bool) { io.Copy(c, c) }}
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// A server on another program's listening socket serves its clients side by side, ends
// when it has had none for a while, and leaves the socket as it is for the next server.
func TestWait(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	if conn, err := Stdin(socket, socket); err == nil || conn != nil {
		t.Errorf("it is taken for a session: %v", err)
	}
	for round := range 2 {
		conns := []net.Conn{}
		for range 3 {
			conn, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conns = append(conns, conn)
		}
		cmd := exec.Command(os.Args[0], "-test.run=^TestWaitHelper$")
		cmd.Env = append(os.Environ(), waitHelper+"=1")
		var said bytes.Buffer
		cmd.Stdin, cmd.Stdout, cmd.Stderr = socket, &said, &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
		for i, conn := range conns {
			conn.SetDeadline(time.Now().Add(20 * time.Second))
			io.WriteString(conn, "hello")
			got := make([]byte, 5)
			if _, err := io.ReadFull(conn, got); string(got) != "hello" {
				t.Errorf("round %d, client %d: %q, %v", round, i, got, err)
			}
		}
		for _, conn := range conns {
			conn.Close()
		}
		if err := cmd.Wait(); err != nil || !ended.Stop() || !strings.Contains(said.String(), "event=listening") {
			t.Errorf("round %d: %v\n%s", round, err, said.String())
		}
	}
}
