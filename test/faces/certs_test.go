package faces

import (
	"os"
	"strings"
	"testing"
	"time"

	"paperpath/test/harness"
)

// A pair that does not fit keeps neither port 25 nor POP3 down: they speak in
// clear text, and the log says which pair and why.
func TestServersWithoutAUsablePair(t *testing.T) {
	s := newSite(t)
	key := s.Home.Dir + "/control/tls/" + harness.Hostname + "/privkey.pem"
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/nonexistent/privkey.pem", key); err != nil {
		t.Fatal(err)
	}
	smtp, pop3 := harness.FreeAddr(), harness.FreeAddr()
	s.run(programs.Path("mailsubmit"), "smtp", "--listen", smtp)
	s.run(programs.Path("pop3d"), "--listen", pop3)
	for _, addr := range []string{smtp, pop3} {
		s.wait("a greeting at "+addr, func() bool { return greets(addr) })
	}
	s.steps(s.dial(smtp, false), "", "220", "STARTTLS", "502", "QUIT", "221")
	for _, prog := range []string{"mailsubmit", "pop3d"} {
		s.event("prog="+prog, "event=trouble", "op=certificate", "control/tls/"+harness.Hostname, "privkey.pem")
	}
}

// A pair that is garbage stops the listeners that can only speak TLS, and nothing else: status
// and check name them and it, and once it is mended a reload has them back.
func TestBrokenPairStopsItsListenersOnly(t *testing.T) {
	s := newSite(t)
	smtp, submission, pop3 := harness.FreeAddr(), harness.FreeAddr(), harness.FreeAddr()
	smtps, pop3s := harness.FreeAddr(), harness.FreeAddr()
	tls := []string{"mailsubmit smtp --role submission --listen-tls " + smtps, "pop3d --listen-tls " + pop3s}
	s.services(append(tls, "mailsubmit smtp --role mx --listen "+smtp, "mailsubmit smtp --role submission --listen "+submission,
		"pop3d --listen "+pop3, "mailroute watch", "maildeliver watch")...)
	key := s.Home.Dir + "/control/tls/" + harness.Hostname + "/privkey.pem"
	whole, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(key, []byte("garbage\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.run(programs.Path("mailctl"), "start")
	for _, addr := range []string{smtp, submission, pop3} {
		s.wait("a greeting at "+addr, func() bool { return greets(addr) })
	}
	pair := "control/tls/" + harness.Hostname + ": tls: "
	s.says(65, "check", "error: "+pair)
	named := []string{"! certificate  " + pair, "not ready: control/services:1: " + tls[0], "not ready: control/services:2: " + tls[1]}
	for _, addr := range []string{smtps, pop3s} {
		named = append(named, addr+": no connection")
	}
	for _, addr := range []string{smtp, submission, pop3} {
		named = append(named, addr+" accepts connections")
	}
	s.says(75, "status", named...)
	c := s.dial(smtp, false)
	s.steps(c, "", "220", "EHLO client.far.example", "250")
	if _, err := c.Transfer("x@far.example", []string{alice}, []byte(letter)); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(key, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	s.says(0, "reload")
	s.steps(s.dial(smtps, true), "", "220", "QUIT", "221")
	s.steps(s.dial(pop3s, true), "", "+OK", "QUIT", "+OK")
	s.says(0, "status", smtps+" accepts connections", pop3s+" accepts connections")
}

// says waits until mailctl VERB exits with status and prints all of that.
func (s *site) says(status int, verb string, want ...string) {
	s.t.Helper()
	var last harness.Result
	missing := func() string {
		var err error
		if last, err = programs.Run(s.Home.Dir, nil, "mailctl", verb); err != nil {
			s.t.Fatal(err)
		}
		for _, w := range want {
			if !strings.Contains(last.Stdout, w) {
				return w
			}
		}
		return ""
	}
	err := harness.Wait("mailctl "+verb, time.Minute, func() bool { return missing() == "" && last.Status == status })
	if err != nil {
		s.t.Fatalf("%v: status %d, not %d, no %q in\n%s%s", err, last.Status, status, missing(), last.Stdout, last.Stderr)
	}
}
