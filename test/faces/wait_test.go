package faces

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"paperpath/test/harness"
)

// TestInetdWait: with wait inetd passes the listening socket on, which one
// process then serves.
func TestInetdWait(t *testing.T) {
	s := newSite(t, "inetd")
	smtp, pop3, pop3s, smtps := harness.FreeAddr(), harness.FreeAddr(), harness.FreeAddr(), harness.FreeAddr()
	conf := s.example("inetd.conf", `(?m)^smtp `, smtp+" ", `(?m)^submission `, harness.FreeAddr()+" ",
		`(?m)^submissions`, smtps, `(?m)^pop3 `, pop3+" ", `(?m)^pop3s`, pop3s, ` nowait `, ` wait `)
	s.endsChildren(s.run("inetd", "-i", s.file("inetd.conf", conf)))
	s.waits(smtp, pop3)
	if n := s.fetch(s.dial(pop3s, true)); n != 1 {
		t.Errorf("%d messages inside TLS", n)
	}
	if reply, err := s.dial(smtps, true).Expect("220", ""); err != nil {
		t.Errorf("%q, %v", reply, err)
	}
}

// TestXinetdWait is the same with xinetd.
func TestXinetdWait(t *testing.T) {
	s := newSite(t, "xinetd")
	smtp, pop3 := harness.FreeAddr(), harness.FreeAddr()
	service := func(name, addr string) []string {
		return []string{`service ` + name + `\n\{`,
			"service " + name + "\n{\n    type = UNLISTED\n    bind = 127.0.0.1\n    port = " + harness.Port(addr)}
	}
	pairs := append(service("smtp", smtp), service("pop3", pop3)...)
	conf := s.example("xinetd.conf", append(pairs, `wait        = no`, `wait        = yes`)...)
	s.endsChildren(s.run("xinetd", "-dontfork", "-f", s.file("xinetd.conf", conf), "-pidfile", s.dir+"/pid", "-filelog", s.dir+"/log"))
	s.waits(smtp, pop3)
}

// waits holds sessions side by side, which one process has to serve, then those
// of every face.
func (s *site) waits(smtp, pop3 string) {
	s.t.Helper()
	for addr, greeting := range map[string]string{smtp: "220 ", pop3: "+OK"} {
		for range 3 {
			if line, err := s.dial(addr, false).Line(); err != nil || !strings.HasPrefix(line, greeting) {
				s.t.Errorf("%q, %v", line, err)
			}
		}
	}
	for _, prog := range []string{"mailsubmit", "pop3d"} {
		s.event("prog="+prog, "event=listening")
	}
	s.both(smtp, pop3)
}

// endsChildren ends what a wrapper has started, with the test: it has sessions
// of their own, which outlive the wrapper.
func (s *site) endsChildren(wrapper *exec.Cmd) {
	s.t.Cleanup(func() {
		for _, pid := range harness.Descendants(wrapper.Process.Pid) {
			syscall.Kill(pid, syscall.SIGTERM)
		}
	})
}
