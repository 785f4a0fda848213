package faces

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"paperpath/test/harness"
)

// TestSystemdLocal has the socket of contrib's paperpath-submit.socket: the
// kernel's word for the caller comes through systemd too.
func TestSystemdLocal(t *testing.T) {
	const tool = "systemd-socket-activate"
	for name, way := range map[string][]string{
		"Accept=no":                        nil,
		"Accept=yes, descriptor 3":         {"--accept"},
		"Accept=yes, StandardInput=socket": {"--accept", "--inetd"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, tool)
			path := filepath.Join(s.Home.Dir, "run/submit")
			s.run(tool, append(way, "-EPAPERPATH_HOME="+s.Home.Dir, "-l", path, programs.Path("mailsubmit"), "smtp", "--role", "local")...)
			c := s.dialUnix(path)
			for _, step := range [][2]string{{"220", ""}, {"250", "EHLO localhost"}} {
				if _, err := c.Expect(step[0], step[1]); err != nil {
					t.Fatalf("%v\n%s", err, s.Describe())
				}
			}
			if _, err := c.Transfer("x@far.example", []string{"nobody@example.net", "y@far.example"}, []byte(letter)); err != nil {
				t.Fatalf("%v\n%s", err, s.Describe())
			}
			if len(s.Glob("spool/check/new/*")) != 1 || len(s.Events("event=accepted", "client=unix", fmt.Sprintf("uid=%d", os.Getuid()))) != 1 {
				t.Error(s.Describe())
			}
		})
	}
}

// TestLocalIsForNoNetwork: a socket that others reach by network never speaks
// for the users of this machine.
func TestLocalIsForNoNetwork(t *testing.T) {
	s := newSite(t)
	addr := harness.FreeAddr()
	s.run(programs.Path("mailsubmit"), "smtp", "--role", "local", "--listen", addr)
	if _, err := s.dial(addr, false).Expect("421", ""); err != nil {
		t.Error(err)
	}
}

func (s *site) dialUnix(path string) *harness.Conversation {
	s.t.Helper()
	var conn net.Conn
	err := harness.Wait("a server on "+path, time.Minute, func() bool {
		c, err := net.DialTimeout("unix", path, time.Second)
		conn = c
		return err == nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	return harness.Converse(conn)
}

// TestSendmailBsOnANetwork: below inetd sendmail -bs is the role submission,
// since whoever calls there is no user of this machine.
func TestSendmailBsOnANetwork(t *testing.T) {
	const tool = "systemd-socket-activate"
	s := newSite(t, tool)
	addr := harness.FreeAddr()
	s.run(tool, "--accept", "--inetd", "-EPAPERPATH_HOME="+s.Home.Dir, "-l", addr, programs.Path("sendmail"), "-bs")
	c := s.dial(addr, false)
	for _, step := range [][2]string{{"220", ""}, {"250", "EHLO far.example"}, {"530", "MAIL FROM:<alice@example.net>"}, {"221", "QUIT"}} {
		if _, err := c.Expect(step[0], step[1]); err != nil {
			t.Fatalf("%v\n%s", err, s.Describe())
		}
	}
}
