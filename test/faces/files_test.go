package faces

import (
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"paperpath/test/harness"
)

// limited runs a program with that many descriptors ("-S 6" is the soft limit
// alone) and returns its exit status, -1 for a signal, and all that it printed.
func (s *site) limited(limit, stdin, name string, args ...string) (int, string) {
	s.t.Helper()
	cmd := exec.Command("/bin/sh", append([]string{"-c", `ulimit -n ` + limit + ` && exec "$0" "$@"`, programs.Path(name)}, args...)...)
	if soft, ok := strings.CutPrefix(limit, "-S "); ok {
		cmd.Args[2] = `ulimit -S -n ` + soft + ` && exec "$0" "$@"`
	}
	cmd.Env = programs.Env(s.Home.Dir)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		s.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// With few descriptors a program says so and ends with 75, having stored
// nothing; a soft limit alone is raised.
func TestFewDescriptors(t *testing.T) {
	s := newSite(t)
	for name, args := range map[string][]string{"sendmail": {alice}, "mailq": nil, "mailcheck": {"--from", alice}, "mailroute": {"run"},
		"maildeliver": {"-d", alice}, "mailrelay": {"run"}, "pop3d": nil, "mailsubmit": {"smtp"}, "mailctl": {"queue"}} {
		stdin := letter
		if name == "pop3d" || name == "mailsubmit" {
			stdin = "QUIT\r\n"
		}
		for _, n := range []int{4, 5, 6, 7, 8, 9, 10, 12, 16, 20, 30, 40} {
			code, out := s.limited(fmt.Sprint(n), stdin, name, args...)
			if code != 75 || !strings.Contains(out, fmt.Sprintf("RLIMIT_NOFILE; it is %d", n)) {
				t.Errorf("%s with %d descriptors: exit status %d\n%.300s", name, n, code, out)
			}
		}
		if left := append(s.Queued(), s.Glob("mail/example.net/alice/Maildir/???/*")...); len(left) > 0 {
			t.Fatalf("%s left %q", name, left)
		}
	}
	for _, limit := range []string{"-S 6", "60"} {
		if code, out := s.limited(limit, "", "mailq"); code != 0 {
			t.Errorf("with the limit %s: exit status %d\n%s", limit, code, out)
		}
	}
	if code, out := s.limited("60", letter, "sendmail", alice); code != 0 || len(s.Queued()) != 1 {
		t.Errorf("exit status %d\n%s", code, out)
	}
}

// A server whose table of descriptors is full serves on once there is room.
func TestServerOutOfDescriptors(t *testing.T) {
	s := newSite(t)
	for name, args := range map[string][]string{"mailsubmit": {"smtp", "--listen"}, "pop3d": {"--listen"}} {
		addr := harness.FreeAddr()
		args = append([]string{"-c", `ulimit -n 60 && exec "$0" "$@"`, programs.Path(name)}, append(args, addr)...)
		s.run("/bin/sh", args...)
		s.wait(name, func() bool { return greets(addr) })
		var conns []net.Conn
		for range 120 {
			if conn, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
				conns = append(conns, conn)
			}
		}
		s.wait("a full table of descriptors", func() bool {
			return len(s.Events("prog="+name, "event=trouble", "too many open files")) > 0
		})
		for _, conn := range conns {
			conn.Close()
		}
		s.wait(name+" with room again", func() bool { return greets(addr) })
	}
}

// greets reports whether a server says hello.
func greets(addr string) bool {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	var buf [3]byte
	_, err = conn.Read(buf[:])
	return err == nil && (string(buf[:]) == "220" || string(buf[:]) == "+OK")
}
