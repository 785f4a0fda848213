package faces

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

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

// A runner whose table of descriptors is full in the middle of an attempt defers
// the message: nothing is lost, doubled or held, and it goes on once there is room.
func TestStageOutOfDescriptors(t *testing.T) {
	for name, inbox := range map[string]string{"mailroute": "route", "maildeliver": "deliver", "mailrelay": "relay"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			sink, err := harness.NewSink("ok")
			if err != nil {
				t.Fatal(err)
			}
			defer sink.Close()
			if err := s.Set("routes", ". : "+sink.Addr); err != nil {
				t.Fatal(err)
			}
			cmd := s.run(programs.Path(name), "watch")
			served := func() {
				key := s.feed(inbox)
				s.wait("a message with room", func() bool { return len(s.Glob("spool/"+inbox+"/*/"+key+"*")) == 0 })
			}
			served() // a watcher that cannot look into its inbox at first ends with 75
			const most = 24
			for free := range most {
				s.leave(cmd.Process.Pid, free)
				key := s.feed(inbox)
				s.wait("an attempt", func() bool { return len(s.Events("prog="+name, "key="+key)) > 0 })
			}
			if len(s.Events("prog="+name, "too many open files")) == 0 {
				t.Error("it never ran out of descriptors")
			}
			s.leave(cmd.Process.Pid, 500)
			served()
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			s.ended(cmd)
			s.drain()
			if n, taken := len(s.Glob("mail/example.net/alice/Maildir/new/*")), len(sink.Received()); n != most+2 || taken != most+2 {
				t.Errorf("alice has %d and the other host %d of %d messages\n%s", n, taken, most+2, s.Describe())
			}
		})
	}
}

// leave lowers the limit of a process so that so many more descriptors fit. Those of entries are
// closed first: they would be free a moment later.
func (s *site) leave(pid, free int) {
	s.t.Helper()
	s.wait("the entries to be closed", func() bool {
		list, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
		return !slices.ContainsFunc(list, func(fd string) bool {
			path, _ := os.Readlink(fd)
			return strings.Contains(path, ",S=")
		})
	})
	limit := 0
	for ; free > 0 || exists(fmt.Sprintf("/proc/%d/fd/%d", pid, limit)); limit++ {
		if !exists(fmt.Sprintf("/proc/%d/fd/%d", pid, limit)) {
			free--
		}
	}
	rlimit := unix.Rlimit{Cur: uint64(limit), Max: 4096}
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &rlimit, nil); err != nil {
		s.t.Fatal(err)
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// feed puts a message for alice and for somebody elsewhere into the inbox, and
// returns the key that the keys there begin with.
func (s *site) feed(inbox string) (key string) {
	s.t.Helper()
	for _, step := range [][]string{{"sendmail", alice, "x@far.example"}, {"mailcheck", "run"}, {"mailroute", "run"}} {
		if inbox == "route" && step[0] == "mailroute" {
			break
		}
		if _, err := programs.Must(s.Home.Dir, strings.NewReader(letter), step[0], step[1:]...); err != nil {
			s.t.Fatal(err)
		}
		if names := s.Glob("spool/check/new/*"); len(names) == 1 {
			key, _, _ = strings.Cut(filepath.Base(names[0]), ",")
		}
	}
	return key
}

// drain has all that waits tried until nothing does.
func (s *site) drain() {
	s.t.Helper()
	s.wait("an empty queue", func() bool {
		for _, words := range [][]string{{"sendmail", "-q"}, {"mailroute", "run"}, {"maildeliver", "run"}, {"mailrelay", "run"}} {
			if _, err := programs.Must(s.Home.Dir, nil, words[0], words[1:]...); err != nil {
				s.t.Fatal(err)
			}
		}
		return len(s.Queued()) == 0
	})
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
