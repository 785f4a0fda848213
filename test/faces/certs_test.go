package faces

import (
	"os"
	"testing"

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
