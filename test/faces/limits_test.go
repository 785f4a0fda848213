package faces

import (
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"paperpath/test/harness"
)

// set writes control files, "NAME: one line" each.
func (s *site) set(files ...string) {
	s.t.Helper()
	for _, f := range files {
		name, text, _ := strings.Cut(f, ": ")
		if err := s.Set(name, text); err != nil {
			s.t.Fatal(err)
		}
	}
}

// proxied connects as a client of another network.
func (s *site) proxied(addr, client string) *harness.Conversation {
	s.t.Helper()
	c := s.dial(addr, false)
	c.Send("PROXY TCP4 %s 198.51.100.1 4711 25", client)
	return c
}

// once is a session of one process, as a wrapper starts it for a client
// elsewhere: it gets the commands at once and returns what was said.
func (s *site) once(prog []string, client string, commands ...string) string {
	s.t.Helper()
	cmd := exec.Command(programs.Path(prog[0]), append(prog[1:], "--env", "tcpserver")...)
	cmd.Env = append(programs.Env(s.Home.Dir), "TCPREMOTEIP="+client)
	cmd.Stdin = strings.NewReader(strings.Join(commands, "\r\n") + "\r\n")
	cmd.Stderr = os.Stderr
	out, _ := cmd.Output() // the status says that a client was refused
	return string(out)
}

// TestRatesOfProcesses: processes of one connection each know of each other.
func TestRatesOfProcesses(t *testing.T) {
	s := newSite(t)
	s.set("rates: client-messages: 2/1h")
	mail := []string{"HELO x", "MAIL FROM:<x@far.example>", "QUIT"}
	for i, want := range []string{"250 2.1.0", "250 2.1.0", "450 4.7.1"} {
		if out := s.once([]string{"mailsubmit", "smtp"}, "192.0.2.7", mail...); !strings.Contains(out, want) {
			t.Errorf("process %d: %s", i, out)
		}
	}
	if out := s.once([]string{"mailsubmit", "smtp"}, "192.0.2.8", mail...); !strings.Contains(out, "250 2.1.0") {
		t.Errorf("another: %s", out)
	}
	s.event("prog=mailsubmit", "event=limited", "limit=client-messages", "client=192.0.2.7")
	s.set("rates: client-connections: 2/1h")
	for _, tt := range []struct{ prog, good, bad string }{{"mailsubmit", "220 ", "421 4.7.0"}, {"pop3d", "+OK", "-ERR [SYS/TEMP]"}} {
		prog := map[string][]string{"mailsubmit": {"mailsubmit", "smtp"}, "pop3d": {"pop3d"}}[tt.prog]
		for i, want := range []string{tt.good, tt.good, tt.bad} {
			// An IPv6 client is its /64.
			if out := s.once(prog, fmt.Sprintf("2001:db8:0:1::%d", i), "QUIT"); !strings.HasPrefix(out, want) {
				t.Errorf("%s %d: %q", tt.prog, i, out)
			}
		}
		if out := s.once(prog, "2001:db8:0:2::1", "QUIT"); !strings.HasPrefix(out, tt.good) {
			t.Errorf("%s, another network: %q", tt.prog, out)
		}
		s.event("prog="+tt.prog, "event=limited", "limit=client-connections", "client=2001:db8:0:1::2")
	}
	if st, err := os.Stat(s.Home.Dir + "/run/tally-clients"); err != nil || st.Size() > 1<<20 {
		t.Errorf("%v, %v", st, err)
	}
}

// TestLoginFailures: processes of one session each, of both programs, count the
// different wrong passwords of one network together; another one gets in.
func TestLoginFailures(t *testing.T) {
	s := newSite(t)
	s.set("rates: login-failures: 2/1h")
	pop3 := func(client, password string) string {
		return s.once([]string{"pop3d"}, client, "USER alice", "PASS "+password, "QUIT")
	}
	smtp := func(client, password string) string {
		plain := base64.StdEncoding.EncodeToString([]byte("\x00alice\x00" + password))
		return s.once([]string{"mailsubmit", "smtp", "--role", "submission"}, client, "EHLO x", "AUTH PLAIN "+plain, "QUIT")
	}
	for i, step := range []struct{ said, want string }{
		{pop3("127.0.0.1", "old"), "-ERR [AUTH]"},
		{smtp("127.0.0.2", "old"), "535 5.7.8"}, // the same one
		{pop3("127.0.0.3", "guess"), "-ERR [AUTH]"},
		{smtp("127.0.0.1", "guess 2"), "454 4.7.0"},
		{pop3("127.0.0.1", harness.Password), "-ERR [SYS/TEMP]"},
		{smtp("127.0.1.1", harness.Password), "235 2.7.0"},
		{pop3("127.0.1.1", harness.Password), "+OK"},
	} {
		if !strings.Contains(step.said, step.want) {
			t.Errorf("step %d lacks %q:\n%s", i, step.want, step.said)
		}
	}
	s.event("prog=mailsubmit", "event=limited", "limit=login-failures", "client=127.0.0.1")
	s.event("prog=pop3d", "event=limited", "limit=login-failures", "client=127.0.0.1")
}

// TestConnections: so many at a time, in all and from one address, which a
// changed file changes at once.
func TestConnections(t *testing.T) {
	s := newSite(t)
	s.set("proxyfrom: 127.0.0.7", "greetpause: 0")
	if err := s.Set("concurrency", "mailsubmit: 4", "pop3d: 4", "client: 2"); err != nil {
		t.Fatal(err)
	}
	smtp, pop3 := harness.FreeAddr(), harness.FreeAddr()
	s.run(programs.Path("mailsubmit"), "smtp", "--listen", smtp)
	s.run(programs.Path("pop3d"), "--listen", pop3)
	for addr, want := range map[string][2]string{smtp: {"220", "421 4.7.0"}, pop3: {"+OK", "-ERR [SYS/TEMP]"}} {
		for i, tt := range []struct {
			client string
			ok     bool
		}{
			{"192.0.2.7", true}, {"192.0.2.7", true}, {"192.0.2.7", false}, {"192.0.2.8", true}, {"127.0.0.1", true}, {"127.0.0.1", false},
		} {
			c := s.proxied(addr, tt.client)
			line, err := c.Line()
			if begin := want[0]; tt.ok && !strings.HasPrefix(line, begin) {
				// The one that was refused before may not have left yet.
				s.wait("room", func() bool {
					c = s.proxied(addr, tt.client)
					line, err = c.Line()
					return strings.HasPrefix(line, begin)
				})
			} else if !tt.ok && !strings.HasPrefix(line, want[1]) {
				t.Fatalf("%d from %s: %q, %v", i, tt.client, line, err)
			}
			if !tt.ok { // it has been closed
				if line, err := c.Line(); err == nil {
					t.Errorf("%q", line)
				}
			}
		}
	}
	for _, prog := range []string{"mailsubmit", "pop3d"} {
		s.event("prog="+prog, "event=limited", "limit=client ", "client=192.0.2.7")
		s.event("prog="+prog, "event=limited", "limit=connections")
	}
	if err := s.Set("concurrency", "mailsubmit: 100", "client: 100"); err != nil {
		t.Fatal(err)
	}
	s.steps(s.proxied(smtp, "192.0.2.7"), "", "220", "QUIT", "221")
}

// TestEarlyTalk: on a listening socket of the role mx a stranger who talks
// before the greeting is refused; who is exempt, and who waits, is not.
func TestEarlyTalk(t *testing.T) {
	s := newSite(t)
	s.set("proxyfrom: 127.0.0.7", "greetpause: 3s", "relayfrom: 192.0.2.8")
	smtp, submission := harness.FreeAddr(), harness.FreeAddr()
	s.run(programs.Path("mailsubmit"), "smtp", "--listen", smtp)
	s.run(programs.Path("mailsubmit"), "smtp", "--role", "submission", "--listen", submission)
	for _, tt := range []struct {
		addr, client, talk, want string
	}{
		{smtp, "192.0.2.7", "EHLO bot\r\nMAIL FROM:<spam@far.example>\r\n", "554 5.5.1"},
		{smtp, "192.0.2.7", "", "220"},
		{smtp, "192.0.2.8", "EHLO early\r\n", "220"},
		{smtp, "127.0.0.1", "EHLO early\r\n", "220"},
		{submission, "192.0.2.7", "EHLO early\r\n", "220"},
	} {
		begin := time.Now()
		c := s.proxied(tt.addr, tt.client)
		fmt.Fprint(c, tt.talk)
		if line, err := c.Line(); !strings.HasPrefix(line, tt.want) {
			t.Errorf("%+v: %q, %v", tt, line, err)
		}
		if tt.talk == "" && time.Since(begin) < 3*time.Second {
			t.Errorf("the greeting came after %v", time.Since(begin))
		}
		if tt.want == "554 5.5.1" {
			if line, err := c.Line(); err == nil {
				t.Errorf("behind the refusal: %q", line)
			}
		}
		c.Close()
	}
	s.event("event=disconnected", "data before greeting", "client=192.0.2.7")
}

// TestSessionTime: a session ends, whatever it does.
func TestSessionTime(t *testing.T) {
	s := newSite(t)
	s.set("limits: session: 1")
	smtp := harness.FreeAddr()
	s.run(programs.Path("mailsubmit"), "smtp", "--listen", smtp)
	c := s.dial(smtp, false)
	s.steps(c, "", "220")
	begin := time.Now()
	for range 1000 { // not idle
		c.Send("NOOP")
		if line, err := c.Line(); strings.HasPrefix(line, "421 4.4.2") {
			break
		} else if err != nil {
			t.Fatalf("%q, %v", line, err)
		}
		time.Sleep(20 * time.Millisecond) // a client that is slow, not one that waits
	}
	if d := time.Since(begin); d >= 20*time.Second {
		t.Errorf("after %v", d)
	}
	s.event("event=disconnected", "the session took too long")
}

// TestTarpitRuns: guesses are answered later and later, and the good is not.
func TestTarpitRuns(t *testing.T) {
	s := newSite(t)
	s.set("proxyfrom: 127.0.0.7", "limits: unknown: 1", "greetpause: 0")
	smtp := harness.FreeAddr()
	s.run(programs.Path("mailsubmit"), "smtp", "--listen", smtp)
	c := s.proxied(smtp, "192.0.2.7")
	s.steps(c, "", "220", "EHLO x", "250", "MAIL FROM:<x@far.example>", "250")
	for i, least := range []time.Duration{0, time.Second, 2 * time.Second} {
		begin := time.Now()
		s.steps(c, fmt.Sprintf("RCPT TO:<nobody%d@example.net>", i), "550 5.1.1")
		if d := time.Since(begin); d < least {
			t.Errorf("recipient %d after %v", i, d)
		}
	}
	soonest := time.Hour // the machine may be busy once; a delay comes each time
	for range 3 {
		begin := time.Now()
		s.steps(c, "RCPT TO:<"+alice+">", "250")
		soonest = min(soonest, time.Since(begin))
	}
	if soonest >= 2*time.Second {
		t.Errorf("the good recipient after %v", soonest)
	}
	s.event("event=limited", "limit=unknown", "client=192.0.2.7")
}
