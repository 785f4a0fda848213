package faces

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"paperpath/test/harness"
)

// steps plays the commands in c, each with how its answer begins.
func (s *site) steps(c *harness.Conversation, pairs ...string) {
	s.t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if _, err := c.Expect(pairs[i+1], pairs[i]); err != nil {
			s.t.Fatalf("%v\n%s", err, s.Describe())
		}
	}
}

// services replaces control/services.
func (s *site) services(lines ...string) {
	s.t.Helper()
	if err := s.Set("services", lines...); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) wait(what string, cond func() bool) {
	s.t.Helper()
	if err := harness.Wait(what, time.Minute, cond); err != nil {
		s.t.Fatalf("%v\n%s", err, s.Describe())
	}
}

// TestHangup changes the hostname and the services of a running system: SIGHUP
// to mailctl has both in force, and the sessions and programs that were there
// go on.
func TestHangup(t *testing.T) {
	s := newSite(t)
	mx, other, gone, pop3 := harness.FreeAddr(), harness.FreeAddr(), harness.FreeAddr(), harness.FreeAddr()
	smtp := "mailsubmit smtp --listen "
	stages := []string{"mailroute watch", "maildeliver watch", smtp + mx, "pop3d --listen " + pop3}
	s.services(append(stages, smtp+gone)...)
	system, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer system.Stop()
	before := harness.Descendants(system.PID())
	c, p := s.dial(mx, false), s.dial(pop3, false)
	s.steps(c, "", "220 "+harness.Hostname+" ", "EHLO x", "250", "MAIL FROM:<x@far.example>", "250", "RCPT TO:<"+alice+">", "250", "DATA", "354")
	if line, err := p.Line(); err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	if err := s.Set("hostname", "renamed.example.net"); err != nil {
		t.Fatal(err)
	}
	s.services(append(stages, smtp+other)...)
	syscall.Kill(system.PID(), syscall.SIGHUP)
	for _, prog := range []string{"mailctl", "mailsubmit", "pop3d", "mailroute", "maildeliver"} {
		s.event("prog="+prog, "event=reloaded")
	}
	s.steps(s.dial(mx, false), "", "220 renamed.example.net ", "QUIT", "221")
	s.steps(s.dial(other, false), "", "220 renamed.example.net ", "QUIT", "221")
	s.wait("the end of the service that was removed", func() bool { return len(s.Events("event=exited", "service=\""+smtp+gone)) == 1 })
	// The transaction that was under way ends well, and is delivered under the
	// stages' new name too.
	c.Write(harness.Wire([]byte(letter)))
	s.steps(c, "", "250", "NOOP", "250", "QUIT", "221")
	s.wait("the message", func() bool { return len(s.Glob("mail/example.net/alice/Maildir/new/*")) == 1 })
	if _, err := harness.Pop(pop3, alice, harness.Password, false); err != nil {
		t.Error(err)
	}
	if err := p.Send("QUIT"); err != nil {
		t.Error(err)
	}
	if line, err := p.Line(); !strings.HasPrefix(line, "+OK") {
		t.Errorf("the session of before: %q, %v", line, err)
	}
	after := harness.Descendants(system.PID())
	kept := 0
	for _, pid := range before {
		for _, now := range after {
			if pid == now {
				kept++
			}
		}
	}
	if kept != len(before)-1 || len(after) != len(before) {
		t.Errorf("processes %v before, %v after", before, after)
	}
	// What is broken changes nothing.
	s.services(`"`)
	syscall.Kill(system.PID(), syscall.SIGHUP)
	s.event("prog=mailctl", "event=trouble", "op=reload")
	s.steps(s.dial(mx, false), "", "220")
	s.services(stages...)
}

// TestHangupAlone: the servers by themselves take a new certificate, the old
// session goes on.
func TestHangupAlone(t *testing.T) {
	s := newSite(t)
	if err := os.Rename(s.Home.Dir+"/control/tls", s.dir+"/tls"); err != nil {
		t.Fatal(err)
	}
	smtp, pop3 := harness.FreeAddr(), harness.FreeAddr()
	cmds := []*exec.Cmd{s.run(programs.Path("mailsubmit"), "smtp", "--listen", smtp), s.run(programs.Path("pop3d"), "--listen", pop3)}
	c := s.dial(smtp, false)
	s.steps(c, "", "220", "STARTTLS", "502")
	p := s.dial(pop3, false)
	p.Line()
	if err := os.Rename(s.dir+"/tls", s.Home.Dir+"/control/tls"); err != nil {
		t.Fatal(err)
	}
	for _, cmd := range cmds {
		cmd.Process.Signal(syscall.SIGHUP)
	}
	s.event("prog=mailsubmit", "event=reloaded")
	s.event("prog=pop3d", "event=reloaded")
	s.steps(s.dial(smtp, false), "", "220", "STARTTLS", "220")
	for conversation, want := range map[*harness.Conversation]string{p: "-ERR", s.dial(pop3, false): "+OK"} {
		if conversation != p {
			conversation.Line()
		}
		conversation.Send("STLS")
		if line, err := conversation.Line(); !strings.HasPrefix(line, want) {
			t.Errorf("%q, %v; want %s", line, err, want)
		}
	}
	s.steps(c, "NOOP", "250", "QUIT", "221")
}

// TestDrain: at SIGTERM nobody is let in, who is idle gets 421 at once, a
// transaction may end, and then the server ends with status 0.
func TestDrain(t *testing.T) {
	s := newSite(t)
	smtp, pop3 := harness.FreeAddr(), harness.FreeAddr()
	server := s.run(programs.Path("mailsubmit"), "smtp", "--listen", smtp)
	popd := s.run(programs.Path("pop3d"), "--listen", pop3)
	idle, busy, pop := s.dial(smtp, false), s.dial(smtp, false), s.dial(pop3, false)
	s.steps(idle, "", "220", "EHLO x", "250")
	s.steps(busy, "", "220", "EHLO x", "250", "MAIL FROM:<x@far.example>", "250", "RCPT TO:<"+alice+">", "250", "DATA", "354")
	pop.Line()
	begin := time.Now()
	server.Process.Signal(syscall.SIGTERM)
	popd.Process.Signal(syscall.SIGTERM)
	s.steps(idle, "", "421 4.3.2")
	if d := time.Since(begin); d >= 10*time.Second { // as in a transaction that does not go on
		t.Errorf("the idle session ended after %v", d)
	}
	s.wait("the end of accepting", func() bool {
		c, err := harness.Dial(smtp)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	busy.Write(harness.Wire([]byte(letter)))
	s.steps(busy, "", "250 ")
	if line, err := busy.Line(); err == nil && !strings.HasPrefix(line, "421 4.3.2") {
		t.Errorf("behind the transaction: %q", line)
	}
	for _, cmd := range []*exec.Cmd{server, popd} {
		s.ended(cmd)
	}
	for why, n := range map[string]int{"the server is shutting down": 2, "the server shuts down": 1} { // not cut off
		if ends := s.Events("event=disconnected", why); len(ends) != n {
			t.Errorf("%d sessions ended because %s, not %d\n%s", len(ends), why, n, s.Describe())
		}
	}
	if n := len(s.Glob("spool/route/new/*")); n != 1 {
		t.Errorf("%d entries", n)
	}
}

// ended waits for a process to end with status 0.
func (s *site) ended(cmd *exec.Cmd) {
	s.t.Helper()
	timer := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer timer.Stop()
	if err := cmd.Wait(); err != nil {
		s.t.Errorf("%s: %v", cmd.Path, err)
	}
}

// TestDrainSystem: mailctl passes SIGTERM on, and waits for the transaction.
func TestDrainSystem(t *testing.T) {
	s := newSite(t)
	system, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	c := s.dial(s.Addr["mx"], false)
	s.steps(c, "", "220", "EHLO x", "250", "MAIL FROM:<x@far.example>", "250", "RCPT TO:<"+alice+">", "250", "DATA", "354")
	stopped := make(chan error, 1)
	go func() { stopped <- system.Stop() }()
	s.wait("the end of accepting", func() bool {
		c, err := harness.Dial(s.Addr["mx"])
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	c.Write(harness.Wire([]byte(letter)))
	s.steps(c, "", "250 ")
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}
