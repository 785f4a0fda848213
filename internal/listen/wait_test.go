package listen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"paperpath/internal/maillog"
)

// waitHelper makes this test's program a server on standard input, which ends when it has had
// no client for so long.
const waitHelper = "LISTEN_TEST_WAIT"

// TestWaitHelper is the other process of TestWait.
func TestWaitHelper(t *testing.T) {
	idle, err := time.ParseDuration(os.Getenv(waitHelper))
	if err != nil {
		t.Skip("it is for TestWait")
	}
	s := &Server{Addrs: []string{StdinAddr}, Idle: idle, Log: maillog.To(os.Stderr, "test", time.Now),
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
		var wrong error
		// A busy machine may end a server that waits briefly before it has seen its clients.
		for _, idle := range []string{"200ms", "2s", "10s"} {
			if wrong = waits(t, l.Addr().String(), socket, idle); wrong == nil {
				break
			}
		}
		if wrong != nil {
			t.Errorf("round %d: %v", round, wrong)
		}
	}
}

// waits starts a server on the socket for three clients that are there already, and returns
// what is wrong.
func waits(t *testing.T, addr string, socket *os.File, idle string) (wrong error) {
	t.Helper()
	conns := []net.Conn{}
	for range 3 {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns = append(conns, conn)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestWaitHelper$")
	cmd.Env = append(os.Environ(), waitHelper+"="+idle)
	var said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = socket, &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	ended := make(chan error, 1)
	go func() {
		ended <- cmd.Wait()
		for _, conn := range conns {
			conn.SetDeadline(time.Now()) // nobody will answer
		}
	}()
	for i, conn := range conns {
		io.WriteString(conn, "hello")
		got := make([]byte, 5)
		if _, err := io.ReadFull(conn, got); string(got) != "hello" {
			wrong = errors.Join(wrong, fmt.Errorf("client %d: %q, %w", i, got, err))
		}
	}
	for _, conn := range conns {
		conn.Close()
	}
	err := <-ended
	if !late.Stop() {
		t.Fatalf("the server does not end:\n%s", said.String())
	}
	if err != nil || !strings.Contains(said.String(), "event=listening") {
		wrong = errors.Join(wrong, fmt.Errorf("the server: %v\n%s", err, said.String()))
	}
	return wrong
}
