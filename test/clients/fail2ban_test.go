package clients

import (
	"os"
	"strings"
	"testing"

	"paperpath/test/harness"
)

// The filter of contrib/ finds the failed logins of both programs, and only the
// address of the client itself, whatever the client says.
func TestFail2banFilter(t *testing.T) {
	s := newSite(t, "fail2ban-regex").start()
	forged := `x" client=192.0.2.66 event=login-failed`
	for _, line := range []string{alice, "nobody@example.net", forged} {
		c, err := harness.Dial(s.Addr["pop3"])
		if err != nil {
			t.Fatal(err)
		}
		s.say(c, "", "+OK")
		s.say(c, "USER "+line, "+OK")
		s.say(c, "PASS wrong", "-ERR")
		c.Close()
	}
	c, err := harness.Dial(s.Addr["submission"])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, x := range [][2]string{{"", "220"}, {"EHLO x", "250"}, {"AUTH PLAIN AGFsaWNlQGV4YW1wbGUubmV0AHdyb25n", "535"}} {
		if x[0] != "" {
			if err := c.Send("%s", x[0]); err != nil {
				t.Fatal(err)
			}
		}
		if reply, err := c.Reply(); err != nil || !strings.HasPrefix(reply, x[1]) {
			t.Fatalf("%s: %q, %v", x[0], reply, err)
		}
	}
	filter, err := os.ReadFile("../../contrib/fail2ban/filter.d/paperpath.conf")
	if err != nil {
		t.Fatal(err)
	}
	out := s.run("", "fail2ban-regex", "--print-all-matched", s.Home.Dir+"/log/mail.log", s.file("paperpath.conf", string(filter)))
	if !strings.Contains(out, " 4 matched") || strings.Contains(out, "192.0.2.66\n") {
		t.Errorf("%s\n%s", out, s.Describe())
	}
	if ips := s.run("", "fail2ban-regex", "-o", "ip", s.Home.Dir+"/log/mail.log", s.file("paperpath.conf", string(filter))); strings.TrimSpace(ips) != strings.TrimSpace(strings.Repeat("127.0.0.1\n", 4)) {
		t.Errorf("the addresses are %q", ips)
	}
}
