// Package faces starts the servers in every way in which other people's
// programs start a server: a process a connection below inetd, xinetd,
// tcpserver and systemd, many connections on systemd's sockets; and behind
// haproxy. Where contrib/ has an example, that is what runs.
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

var programs harness.Programs

func TestMain(m *testing.M) { os.Exit(harness.Main(m, &programs)) }

const alice = "alice@example.net"

const letter = "From: x@far.example\nTo: alice@example.net\nSubject: through a door\n" +
	"Date: Mon, 23 Nov 2026 12:00:00 +0000\nMessage-ID: <1@far.example>\n\n.dot\n"

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
		timer := time.AfterFunc(20*time.Second, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
		cmd.Wait()
		timer.Stop()
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
	err := harness.Wait("a server on "+addr, 20*time.Second, func() (up bool) {
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
	err := harness.Wait("an event with "+strings.Join(words, " "), 20*time.Second, func() bool { return len(s.Events(words...)) > 0 })
	if err != nil {
		s.t.Errorf("%v\n%s", err, s.Describe())
	}
}

func TestInetd(t *testing.T) {
	s := newSite(t, "inetd")
	smtp, pop3, pop3s, smtps := harness.FreeAddr(), harness.FreeAddr(), harness.FreeAddr(), harness.FreeAddr()
	conf := s.example("inetd.conf", `(?m)^smtp `, smtp+" ", `(?m)^submission `, harness.FreeAddr()+" ", `(?m)^submissions`, smtps,
		`(?m)^pop3 `, pop3+" ", `(?m)^pop3s`, pop3s)
	s.run("inetd", "-i", s.file("inetd.conf", conf))
	s.both(smtp, pop3)
	if n := s.fetch(s.dial(pop3s, true)); n != 1 {
		t.Errorf("%d messages inside TLS", n)
	}
	c := s.dial(smtps, true)
	if reply, err := c.Expect("220", ""); err != nil {
		t.Errorf("%q, %v", reply, err)
	}
}

func TestXinetd(t *testing.T) {
	s := newSite(t, "xinetd")
	smtp, pop3 := harness.FreeAddr(), harness.FreeAddr()
	service := func(name, addr string) []string {
		return []string{`service ` + name + `\n\{`, "service " + name + "\n{\n    type = UNLISTED\n    bind = 127.0.0.1\n    port = " + harness.Port(addr)}
	}
	conf := s.example("xinetd.conf", append(service("smtp", smtp), service("pop3", pop3)...)...)
	s.run("xinetd", "-dontfork", "-f", s.file("xinetd.conf", conf), "-pidfile", s.dir+"/pid", "-filelog", s.dir+"/log")
	s.both(smtp, pop3)
	// Its REMOTE_HOST, where it was asked for.
	t.Run("env", func(t *testing.T) {
		s := newSite(t, "xinetd")
		addr := harness.FreeAddr()
		conf := s.example("xinetd.conf", append(service("smtp", addr), `role mx`, `role mx --env xinetd`, `service pop3\n\{`, "service pop3\n{\n    disable = yes")...)
		s.run("xinetd", "-dontfork", "-f", s.file("xinetd.conf", conf), "-pidfile", s.dir+"/pid", "-filelog", s.dir+"/log")
		s.holds(s.submit(s.dial(addr, false)), "[127.0.0.7]")
	})
}

func TestTcpserver(t *testing.T) {
	s := newSite(t, "tcpserver", "tcprules")
	smtp, pop3 := harness.FreeAddr(), harness.FreeAddr()
	rules := exec.Command("tcprules", s.dir+"/smtp.cdb", s.dir+"/tmp")
	rules.Stdin = strings.NewReader("127.0.0.8:allow,RELAYCLIENT=\"\"\n:allow\n")
	if out, err := rules.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	script := s.example("tcpserver.sh", `/etc/paperpath/smtp.cdb`, s.dir+"/smtp.cdb", `0 25 `, strings.ReplaceAll(smtp, ":", " ")+" ",
		`-u "[^"]*" -g "[^"]*"`, "", `-c 200`, "-c 2")
	s.run("/bin/sh", s.file("run", script))
	s.run("tcpserver", "-HR", "-l", "0", "127.0.0.1", harness.Port(pop3), programs.Path("pop3d"), "--env", "tcpserver")
	s.both(smtp, pop3)
	for from, want := range map[string]string{"127.0.0.7": "550 5.7.1", "127.0.0.8": "250"} {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		conn, err := d.Dial("tcp", smtp)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		c := harness.Converse(conn)
		for _, step := range [][2]string{{"220", ""}, {"250", "EHLO x"}, {"250", "MAIL FROM:<x@far.example>"}, {want, "RCPT TO:<y@far.example>"}} {
			if _, err := c.Expect(step[0], step[1]); err != nil {
				t.Errorf("RELAYCLIENT, from %s: %v", from, err)
			}
		}
	}
	// A wrapper that speaks TLS hands over pipes: then the environment is all.
	t.Run("pipes", func(t *testing.T) {
		s := newSite(t, "tcpserver")
		s.lingers = true
		addr := harness.FreeAddr()
		s.run("tcpserver", "-HR", "-l", "0", "127.0.0.1", harness.Port(addr), "/bin/sh", "-c",
			`cat | "$0" smtp --env tcpserver | cat`, programs.Path("mailsubmit"))
		s.holds(s.submit(s.dial(addr, false)), "[127.0.0.7]")
		other := harness.FreeAddr() // not asked for
		s.run("tcpserver", "-HR", "-l", "0", "127.0.0.1", harness.Port(other), "/bin/sh", "-c",
			`cat | "$0" smtp | cat`, programs.Path("mailsubmit"))
		if text := s.submit(s.dial(other, false)); strings.Contains(text, "127.0.0.7") {
			t.Errorf("believed:\n%s", text)
		}
	})
	// s6-tcpserver sets the same names; asked for without them it is an error.
	t.Run("asked for and not there", func(t *testing.T) {
		s := newSite(t, "tcpserver")
		addr := harness.FreeAddr()
		s.run("tcpserver", "-HR", "-l", "0", "127.0.0.1", harness.Port(addr), programs.Path("mailsubmit"), "smtp", "--env", "systemd")
		if reply, err := s.dial(addr, false).Expect("421", ""); err != nil {
			t.Errorf("%q, %v", reply, err)
		}
		s.event("event=trouble", "the environment of systemd names no client")
	})
}

// TestTcpserver6 has PROTO=TCP6 and its variables from a tcpserver that speaks
// IPv6.
func TestTcpserver6(t *testing.T) {
	s := newSite(t, "tcpserver6")
	s.lingers = true
	port := harness.Port(harness.FreeAddr())
	s.run("tcpserver6", "-HR", "-l", "0", "::1", port, "/bin/sh", "-c", `cat | "$0" smtp --env tcpserver | cat`, programs.Path("mailsubmit"))
	var conn net.Conn
	s.wait("tcpserver", func() (up bool) {
		c, err := net.Dial("tcp", "[::1]:"+port)
		conn = c
		return err == nil
	})
	defer conn.Close()
	s.holds(s.submit(harness.Converse(conn)), "[IPv6:::1]")
	s.event("event=accepted", "client=::1")
}

// TestSystemd runs systemd's own systemd-socket-activate in its three ways.
func TestSystemd(t *testing.T) {
	const tool = "systemd-socket-activate"
	for name, way := range map[string][]string{
		"Accept=no":                        nil,
		"Accept=yes, descriptor 3":         {"--accept"},
		"Accept=yes, StandardInput=socket": {"--accept", "--inetd"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, tool)
			smtp, pop3 := harness.FreeAddr(), harness.FreeAddr()
			home := "-E" + "PAPERPATH_HOME=" + s.Home.Dir
			s.run(tool, append(way, home, "-l", smtp, programs.Path("mailsubmit"), "smtp")...)
			s.run(tool, append(way, home, "-l", pop3, programs.Path("pop3d"))...)
			s.both(smtp, pop3)
		})
	}
	t.Run("TLS by the descriptor's name", func(t *testing.T) {
		s := newSite(t, tool)
		smtp, smtps := harness.FreeAddr(), harness.FreeAddr()
		s.run(tool, "-EPAPERPATH_HOME="+s.Home.Dir, "-l", smtp, "-l", smtps, "--fdname", "smtp:smtp-tls", programs.Path("mailsubmit"), "smtp")
		s.submit(s.dial(smtp, false))
		s.holds(s.submit(s.dial(smtps, true)), " with ESMTPS id ")
	})
	t.Run("TLS with Accept=yes", func(t *testing.T) {
		s := newSite(t, tool)
		addr := harness.FreeAddr()
		s.run(tool, "--accept", "-EPAPERPATH_HOME="+s.Home.Dir, "-l", addr, programs.Path("pop3d"), "--tls")
		if n := s.fetch(s.dial(addr, true)); n != 0 {
			t.Errorf("%d messages", n)
		}
	})
}

// By themselves.
func TestListen(t *testing.T) {
	s := newSite(t)
	smtp, smtps, pop3, pop3s := harness.FreeAddr(), harness.FreeAddr(), harness.FreeAddr(), harness.FreeAddr()
	s.run(programs.Path("mailsubmit"), "smtp", "--listen", smtp, "--listen-tls", smtps)
	s.run(programs.Path("pop3d"), "--listen", pop3, "--listen-tls", pop3s)
	s.both(smtp, pop3)
	s.holds(s.submit(s.dial(smtps, true)), " with ESMTPS id ")
	s.deliver()
	if n := s.fetch(s.dial(pop3s, true)); n != 2 {
		t.Errorf("%d messages", n)
	}
}

// TestHaproxy has contrib's haproxy in front: PROXY version 2 before SMTP,
// version 1 before POP3, and its checks, which are connections of its own.
func TestHaproxy(t *testing.T) {
	s := newSite(t, "haproxy")
	if err := s.Set("proxyfrom", "127.0.0.1"); err != nil {
		t.Fatal(err)
	}
	smtp, pop3, front, frontPop := harness.FreeAddr(), harness.FreeAddr(), harness.FreeAddr(), harness.FreeAddr()
	s.run(programs.Path("mailsubmit"), "smtp", "--listen", smtp)
	s.run(programs.Path("pop3d"), "--listen", pop3)
	for _, addr := range []string{smtp, pop3} { // so that its first check succeeds
		s.dial(addr, false).Close()
	}
	conf := s.example("haproxy.cfg", `bind :25`, "bind "+front, `bind :110`, "bind "+frontPop,
		`192.0.2.20:25`, smtp, `192.0.2.20:110`, pop3, `check check-send-proxy`, "check check-send-proxy inter 200ms")
	s.run("haproxy", "-db", "-f", s.file("haproxy.cfg", conf))
	s.both(front, frontPop)
	s.event("prog=mailsubmit", "event=disconnected", "client=127.0.0.1") // a check
	// Past it nobody is served who sends no header, and none is believed of
	// who is not listed.
	if err := s.Set("proxyfrom", "127.0.0.1", "127.0.0.7"); err != nil {
		t.Fatal(err)
	}
	c := s.dial(smtp, false)
	c.Send("EHLO client.far.example")
	if line, err := c.Line(); err == nil {
		t.Errorf("without a header: %q", line)
	}
	s.event("event=disconnected", "that is no PROXY header", "client=127.0.0.7")
}
