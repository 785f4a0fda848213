package clients

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paperpath/test/harness"
)

func TestCurlFetches(t *testing.T) {
	s := newSite(t, "curl").start()
	s.put(2)
	user := alice + ":" + harness.Password
	if out := s.run("", "curl", "-sS", "-u", user, "pop3://"+s.Addr["pop3"]+"/"); strings.Count(out, "\n") != 2 {
		t.Errorf("LIST: %q", out)
	}
	out := s.run("", "curl", "-sSk", "--ssl-reqd", "-u", user, "pop3://"+s.Addr["pop3"]+"/2")
	if got := strings.ReplaceAll(out, "\r\n", "\n"); string(harness.Body([]byte(got))) != letter {
		t.Errorf("RETR by STLS: %q", out)
	}
	if addr := s.Addr["pop3s"]; addr != "" {
		s.holds([]byte(s.run("", "curl", "-sSk", "-u", user, "pop3s://"+addr+"/1")), "Grüße")
	}
	s.run("", "curl", "-sS", "-u", user, "-X", "DELE 1", "--head", "pop3://"+s.Addr["pop3"]+"/")
	s.left("alice", 1)
}

func TestMpop(t *testing.T) {
	s := newSite(t, "mpop").start()
	s.put(3)
	rc := s.file("mpoprc", "account default\nhost 127.0.0.1\nport "+harness.Port(s.Addr["pop3"])+"\nuser "+alice+
		"\npassword "+harness.Password+"\nauth user\ntls off\nkeep off\ndelivery mbox "+s.dir+"/got\nuidls_file "+s.dir+"/uidls\n")
	s.run("", "mpop", "-C", rc)
	s.fetched(s.dir+"/got", 3)
	s.left("alice", 0)
}

func TestMpopTLS(t *testing.T) {
	s := newSite(t, "mpop").start()
	s.put(1)
	rc := s.file("mpoprc", "account default\nhost 127.0.0.1\nport "+harness.Port(s.Addr["pop3"])+"\nuser "+alice+
		"\npassword "+harness.Password+"\ntls on\ntls_starttls on\ntls_certcheck off\nkeep on\ndelivery mbox "+s.dir+"/got\nuidls_file "+s.dir+"/uidls\n")
	s.run("", "mpop", "-C", rc)
	s.fetched(s.dir+"/got", 1)
	s.run("", "mpop", "-C", rc) // the UIDL is known: nothing new
	s.fetched(s.dir+"/got", 1)
}

// fetched asserts that an mbox holds n messages, each with the letter's lines.
func (s *site) fetched(mbox string, n int) {
	s.t.Helper()
	data, err := os.ReadFile(mbox)
	if err != nil {
		s.t.Fatal(err)
	}
	if got := bytes.Count(data, []byte("Grüße\n.dot\n")); got != n {
		s.t.Errorf("%d messages in %s, want %d:\n%s", got, mbox, n, data)
	}
}

func TestFetchmail(t *testing.T) {
	s := newSite(t, "fetchmail").start()
	s.put(2)
	rc := s.file("fetchmailrc", `poll 127.0.0.1 protocol pop3 port `+harness.Port(s.Addr["pop3"])+` uidl auth password
  user "`+alice+`" password "`+harness.Password+`" sslproto ""
  mda "`+programs.Path("sendmail")+` -i -f bob@example.net -- bob@example.net" nokeep
`)
	s.run("", "fetchmail", "-f", rc, "--idfile", s.dir+"/ids", "--pidfile", s.dir+"/pid", "--nodetach", "--nosyslog", "--silent")
	s.arrived("bob", 2)
	s.left("alice", 0)
}

// left asserts that n messages are left in a mailbox.
func (s *site) left(user string, n int) {
	s.t.Helper()
	if left, _ := filepath.Glob(s.Mailbox(user) + "/*/*"); len(left) != n {
		s.t.Errorf("%d messages left, want %d: %q", len(left), n, left)
	}
}
