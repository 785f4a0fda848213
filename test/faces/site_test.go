package faces

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"paperpath/test/harness"
)

// site is a home and the addresses that something serves it on.
type site struct {
	*harness.Home
	t   *testing.T
	dir string
	// The wrapper keeps the connection open when the session has ended.
	lingers bool
}

func newSite(t *testing.T, tools ...string) *site {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(path(tool)); err == nil {
			continue
		}
		if harness.Missing(tool) {
			t.Fatalf("%s is not installed", tool)
		}
		t.Skipf("%s is not installed", tool)
	}
	s := &site{t: t, dir: t.TempDir()}
	var err error
	if s.Home, err = programs.NewHome(s.dir+"/home", "alice"); err != nil {
		t.Fatal(err)
	}
	return s
}

// path is where a program is: fetch.sh unpacks some.
func path(tool string) string {
	unpacked := map[string]string{"inetd": "openbsd-inetd/usr/sbin/inetd", "tcpserver6": "ucspi-tcp-ipv6/usr/bin/tcpserver"}
	if name, ok := unpacked[tool]; ok {
		if abs, err := filepath.Abs("../../.build/faces/" + name); err == nil {
			return abs
		}
	}
	return tool
}

// run starts a server and ends it with the test.
func (s *site) run(name string, args ...string) *exec.Cmd {
	s.t.Helper()
	cmd := exec.Command(path(name), args...)
	cmd.Env = programs.Env(s.Home.Dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// A file: what its children hold open is not waited for.
	out, err := os.CreateTemp(s.dir, "output")
	if err != nil {
		s.t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if cmd.ProcessState != nil {
			return // it was waited for
		}
		syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		timer := time.AfterFunc(time.Minute, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
		err := cmd.Wait()
		timer.Stop()
		if err != nil && filepath.Dir(name) == string(programs) {
			s.t.Errorf("%s: %v", name, err)
		}
		if text, err := os.ReadFile(out.Name()); s.t.Failed() {
			s.t.Logf("%s: %s %v", name, text, err)
		}
	})
	return cmd
}

// file writes a file into the scratch directory.
func (s *site) file(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// example reads a file of contrib/ with the installed names replaced by those
// of this test, then each of the pairs.
func (s *site) example(name string, pairs ...string) string {
	s.t.Helper()
	text, err := os.ReadFile("../../contrib/" + name)
	if err != nil {
		s.t.Fatal(err)
	}
	me, err := user.Current()
	if err != nil {
		s.t.Fatal(err)
	}
	out := strings.NewReplacer("/usr/local/bin", string(programs), "/var/lib/paperpath", s.Home.Dir).Replace(string(text))
	out = regexp.MustCompile(`([ =])paperpath( |\n)`).ReplaceAllString(out, "${1}"+me.Username+"${2}")
	for i := 0; i < len(pairs); i += 2 {
		re := regexp.MustCompile(pairs[i])
		if !re.MatchString(out) {
			s.t.Fatalf("contrib/%s has no %s:\n%s", name, pairs[i], out)
		}
		out = re.ReplaceAllString(out, pairs[i+1])
	}
	return out
}

// dial connects from 127.0.0.7, which nothing but the connection tells.
func (s *site) dial(addr string, secure bool) *harness.Conversation {
	s.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 7)}, Timeout: 10 * time.Second}
	var conn net.Conn
	err := harness.Wait("a server on "+addr, time.Minute, func() (up bool) {
		c, err := d.Dial("tcp", addr)
		conn = c
		return err == nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	if secure {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	}
	s.t.Cleanup(func() { conn.Close() })
	return harness.Converse(conn)
}

// submit sends the letter to alice and returns the entry.
func (s *site) submit(c *harness.Conversation) string {
	s.t.Helper()
	before := len(s.Glob("spool/route/new/*"))
	for _, step := range [][2]string{{"220", ""}, {"250", "EHLO client.far.example"}} {
		if _, err := c.Expect(step[0], step[1]); err != nil {
			s.t.Fatalf("%v\n%s", err, s.Describe())
		}
	}
	if _, err := c.Transfer("x@far.example", []string{alice}, []byte(letter)); err != nil {
		s.t.Fatalf("%v\n%s", err, s.Describe())
	}
	if _, err := c.Expect("221", "QUIT"); err != nil {
		s.t.Error(err)
	}
	if !s.lingers {
		if rest, err := c.Line(); err == nil {
			s.t.Errorf("behind the goodbye: %q", rest)
		}
	}
	list := s.Glob("spool/route/new/*")
	if len(list) != before+1 {
		s.t.Fatalf("%d entries\n%s", len(list), s.Describe())
	}
	text, err := os.ReadFile(list[len(list)-1])
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

// fetch fetches alice's messages.
func (s *site) fetch(c *harness.Conversation) int {
	s.t.Helper()
	n := -1
	for _, cmd := range []string{"", "USER " + alice, "PASS " + harness.Password, "STAT", "QUIT"} {
		if cmd != "" {
			if err := c.Send("%s", cmd); err != nil {
				s.t.Fatal(err)
			}
		}
		line, err := c.Line()
		if err != nil || !strings.HasPrefix(line, "+OK") {
			s.t.Fatalf("%q answered %q, %v\n%s", cmd, line, err, s.Describe())
		}
		if cmd == "STAT" {
			fmt.Sscanf(line, "+OK %d", &n)
		}
	}
	return n
}

// deliver carries what is in route/ to the mailboxes.
func (s *site) deliver() {
	s.t.Helper()
	for _, stage := range []string{"mailroute", "maildeliver"} {
		if _, err := programs.Must(s.Home.Dir, nil, stage, "run"); err != nil {
			s.t.Fatal(err)
		}
	}
}

// holds asserts that text holds the words.
func (s *site) holds(text string, words ...string) {
	s.t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			s.t.Errorf("%q is not in:\n%s\n%s", w, text, s.Describe())
		}
	}
}

// both sends a message through one address and fetches it through the other,
// and wants the client's own address known in both.
func (s *site) both(smtp, pop3 string) {
	s.t.Helper()
	s.holds(s.submit(s.dial(smtp, false)), "Received: from client.far.example (unknown [127.0.0.7])", " with ESMTP id ")
	s.deliver()
	if n := s.fetch(s.dial(pop3, false)); n != 1 {
		s.t.Errorf("%d messages", n)
	}
	s.event("prog=mailsubmit", "event=accepted", "client=127.0.0.7")
	s.event("prog=pop3d", "event=fetched", "client=127.0.0.7")
	if bad := s.Events("event=trouble"); len(bad) > 0 {
		s.t.Errorf("%q", bad)
	}
}

// event waits for an event with the words: the session writes it when its
// client has gone.
func (s *site) event(words ...string) {
	s.t.Helper()
	err := harness.Wait("an event with "+strings.Join(words, " "), time.Minute, func() bool { return len(s.Events(words...)) > 0 })
	if err != nil {
		s.t.Errorf("%v\n%s", err, s.Describe())
	}
}
