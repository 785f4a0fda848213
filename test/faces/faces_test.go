// Package faces starts the servers in every way in which other programs start a
// server: one process per connection under inetd, xinetd, tcpserver and systemd,
// many connections on systemd's sockets; and behind haproxy. If contrib/ has an
// example, that example runs.
package faces

import (
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"paperpath/test/harness"
)

var programs harness.Programs

func TestMain(m *testing.M) { os.Exit(harness.Main(m, &programs)) }

const alice = "alice@example.net"

const letter = "From: x@far.example\nTo: alice@example.net\nSubject: through a door\n" +
	"Date: Mon, 23 Nov 2026 12:00:00 +0000\nMessage-ID: <1@far.example>\n\n.dot\n"

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
	s.event("event=disconnected", "invalid PROXY header", "client=127.0.0.7")
}
