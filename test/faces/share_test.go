package faces

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"paperpath/test/harness"
)

// Users of this machine who hold sessions of run/submit open leave room for
// others, and for root, who owns the home here, in any case.
func TestUsersLeaveRoom(t *testing.T) {
	s := newSite(t)
	if os.Getuid() != 0 {
		if harness.Missing("root (run/submit with other users)") {
			t.Fatal("not root")
		}
		t.Skip("not root")
	}
	sendmail := s.forAll()
	s.set("concurrency: mailsubmit: 32")
	socket := filepath.Join(s.Home.Dir, "run/submit")
	s.run(programs.Path("mailsubmit"), "smtp", "--role", "local", "--listen", "unix:run/submit")
	first := s.dialUnix(socket)
	first.Send("QUIT")
	for _, err := first.Line(); err == nil; _, err = first.Line() { // it holds its place to its end
	}
	const in, out = "220 ", "421 4.7.0"
	for uid := 60001; uid <= 60006; uid++ { // an eighth is 4
		for i, want := range []string{in, in, in, in, out} {
			if got := s.sessionOf(sendmail, uid); !strings.HasPrefix(got, want) {
				t.Fatalf("session %d of uid %d: %q, want %q", i+1, uid, got, want)
			}
		}
	}
	for i, step := range []struct {
		uid  int
		want string
	}{
		{60007, in}, {60007, in}, {60007, out}, // of 24, 25 and 26; a tenth stays for those who have none
		{60008, in}, {60009, in}, {60010, in}, {60011, out}, // another for root
		{0, in}, {0, in}, {0, in}, {0, out},
	} {
		if got := s.sessionOf(sendmail, step.uid); !strings.HasPrefix(got, step.want) {
			t.Errorf("step %d, uid %d: %q, want %q", i+1, step.uid, got, step.want)
		}
	}
}

// forAll lets every user of the machine reach the home and a sendmail, whose
// path it returns.
func (s *site) forAll() string {
	s.t.Helper()
	bin := filepath.Join(s.dir, "bin")
	sendmail := filepath.Join(bin, "sendmail")
	code, err := os.ReadFile(programs.Path("mailsubmit"))
	if err == nil {
		err = os.Mkdir(bin, 0o755)
	}
	if err == nil {
		err = os.WriteFile(sendmail, code, 0o755)
	}
	for _, dir := range []string{s.dir, filepath.Dir(s.dir)} {
		if err == nil {
			err = os.Chmod(dir, 0o755)
		}
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return sendmail
}

// sessionOf begins a session with run/submit as a user, which lasts to the end
// of the test, and returns the greeting.
func (s *site) sessionOf(sendmail string, uid int) string {
	s.t.Helper()
	if uid == 0 { // who owns the spool needs no socket for sendmail -bs
		c := s.dialUnix(filepath.Join(s.Home.Dir, "run/submit"))
		line, _ := c.Line()
		if !strings.HasPrefix(line, "220") { // it holds a place to its end
			c.Line()
		}
		return line
	}
	cmd := exec.Command(sendmail, "-bs")
	cmd.Env = programs.Env(s.Home.Dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	in, err := cmd.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		in.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	r := bufio.NewReader(out)
	line, _ := r.ReadString('\n')
	if !strings.HasPrefix(line, "220") {
		r.ReadString('\n')
	}
	return line
}

// Where all sessions are taken those that have said nothing make room.
func TestIdleSessionsMakeRoom(t *testing.T) {
	for name, prog := range map[string][]string{"mailsubmit": {"smtp"}, "pop3d": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.set("proxyfrom: 127.0.0.7", "greetpause: 0", "concurrency: "+name+": 10")
			addr := harness.FreeAddr()
			s.run(programs.Path(name), append(prog, "--listen", addr)...)
			begin := time.Now() // before the first: nobody is idle for longer
			for i := range 10 {
				c := s.proxied(addr, fmt.Sprintf("192.0.2.%d", i))
				if line, err := c.Line(); err != nil || strings.HasPrefix(line, "421") || strings.HasPrefix(line, "-ERR") {
					t.Fatalf("%d: %q, %v", i, line, err)
				}
			}
			err := harness.Wait("room for another", time.Minute, func() bool {
				line, err := s.proxied(addr, "198.51.100.1").Line()
				return err == nil && (strings.HasPrefix(line, "220") || strings.HasPrefix(line, "+OK"))
			})
			if err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begin); took < 5*time.Second {
				t.Errorf("after %v already", took)
			}
		})
	}
}
