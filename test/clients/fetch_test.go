package clients

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

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

func TestMpopKeeps(t *testing.T) {
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

// server is what a client's configuration needs of a way to the POP3 server.
type server struct {
	name string // "clear", "STLS" or "POP3S"
	port string
}

// servers returns the three ways.
func (s *site) servers() []server {
	pop3, pop3s := harness.Port(s.Addr["pop3"]), harness.Port(s.Addr["pop3s"])
	return []server{{"clear", pop3}, {"STLS", pop3}, {"POP3S", pop3s}}
}

// pick returns the first for a connection in clear text, the second for STLS,
// the third for POP3S.
func (v server) pick(clear, stls, pop3s string) string {
	return map[string]string{"clear": clear, "STLS": stls, "POP3S": pop3s}[v.name]
}

// overEach fetches two messages in each of the three ways; the client leaves
// none.
func overEach(t *testing.T, client string, fetch func(s *site, v server)) {
	s := newSite(t, client).start()
	for _, v := range s.servers() {
		s.put(2)
		fetch(s, v)
		s.left("alice", 0)
		if t.Failed() {
			t.Fatalf("%s by %s\n%s", client, v.name, s.Describe())
		}
	}
	if tls := s.Events("event=fetched", "tls=", "quit=true"); len(tls) < 2 {
		t.Errorf("%d sessions inside TLS", len(tls))
	}
}

func TestMpopEachWay(t *testing.T) {
	overEach(t, "mpop", func(s *site, v server) {
		os.Remove(s.dir + "/got")
		rc := s.file("mpoprc", "account default\nhost 127.0.0.1\nport "+v.port+"\nuser "+alice+"\npassword "+harness.Password+
			v.pick("\nauth user\ntls off", "\ntls on\ntls_starttls on\ntls_certcheck off", "\ntls on\ntls_starttls off\ntls_certcheck off")+
			"\nkeep off\ndelivery mbox "+s.dir+"/got\nuidls_file "+s.dir+"/uidls\n")
		s.run("", "mpop", "-C", rc)
		s.fetched(s.dir+"/got", 2)
	})
}

func TestFetchmail(t *testing.T) {
	overEach(t, "fetchmail", func(s *site, v server) {
		os.Remove(s.dir + "/got")
		rc := s.file("fetchmailrc", `poll 127.0.0.1 protocol pop3 port `+v.port+` uidl auth password
  user "`+alice+`" password "`+harness.Password+`" `+v.pick(`sslproto ""`, `sslproto "auto" no sslcertck`, `ssl no sslcertck`)+`
  mda "cat >>`+s.dir+`/got" nokeep
`)
		s.run("", "fetchmail", "-f", rc, "--idfile", s.dir+"/ids", "--pidfile", s.dir+"/pid", "--nodetach", "--nosyslog", "--silent")
		s.fetched(s.dir+"/got", 2)
	})
}

// getmail6 knows no STLS.
func TestGetmail(t *testing.T) {
	overEach(t, "getmail", func(s *site, v server) {
		kind := v.pick("SimplePOP3Retriever", "SimplePOP3Retriever", "SimplePOP3SSLRetriever")
		os.Remove(s.dir + "/got")
		s.file("getmailrc", "[retriever]\ntype = "+kind+"\nserver = 127.0.0.1\nport = "+v.port+"\nusername = "+alice+
			"\npassword = "+harness.Password+"\n[destination]\ntype = MDA_external\npath = /bin/sh\n"+
			"arguments = (\"-c\", \"cat >>"+s.dir+"/got\")\nallow_root_commands = true\n[options]\ndelete = true\n")
		s.run("", "getmail", "--getmaildir="+s.dir, "--rcfile=getmailrc")
		s.fetched(s.dir+"/got", 2)
		if v.name == "STLS" { // for overEach's count
			s.run("", "curl", "-sSk", "--ssl-reqd", "-u", alice+":"+harness.Password, "pop3://"+s.Addr["pop3"]+"/")
		}
	})
}

// mutt opens the mailbox as a folder, copies all to a file, and deletes all.
func TestMuttFetches(t *testing.T) {
	need(t, "script") // a terminal for mutt
	overEach(t, "mutt", func(s *site, v server) {
		os.Remove(s.dir + "/got")
		rc := s.file("muttrc", "set pop_pass=\""+harness.Password+"\" pop_user="+alice+" pop_delete=yes folder="+s.dir+"\n"+
			"set ssl_starttls="+v.pick("no", "yes", "no")+" ssl_force_tls="+v.pick("no", "yes", "yes")+"\n"+
			"set ssl_verify_host=no ssl_verify_dates=no certificate_file="+s.dir+"/certificate\n"+
			"set confirmappend=no confirmcreate=no delete=yes quit=yes mail_check=0 header_cache= spoolfile="+s.dir+"/none\n"+
			"push \"<tag-pattern>~A<enter><tag-prefix><save-message><kill-line>"+s.dir+"/got<enter><quit>\"\n")
		s.file("certificate", s.certificate())
		url := v.pick("pop://", "pop://", "pops://") + "127.0.0.1:" + v.port + "/"
		s.run("", "script", "-qec", "stty rows 40 cols 100; mutt -n -F "+rc+" -f "+url, "/dev/null")
		s.fetched(s.dir+"/got", 2)
	})
}

// certificate is the server's own.
func (s *site) certificate() string {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.Home.Dir, "control/tls", harness.Hostname, "fullchain.pem"))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

const poplibScript = `
import poplib, ssl, sys
way, port, user, password = sys.argv[1:]
context = ssl._create_unverified_context()
p = poplib.POP3_SSL("127.0.0.1", port, context=context) if way == "POP3S" else poplib.POP3("127.0.0.1", port)
capa = p.capa()
assert "UIDL" in capa and "TOP" in capa and "UTF8" in capa and capa["LANG"] == [], capa
if way == "STLS":
    p.stls(context=context)
p.utf8()
p.user(user)
p.pass_(password)
assert p.capa().keys() >= capa.keys() - {"STLS"}, p.capa()
count, octets = p.stat()
sizes = [int(l.split()[1]) for l in p.list()[1]]
assert count == 2 == len(sizes) and sum(sizes) == octets, (count, octets, sizes)
ids = [l.split()[1] for l in p.uidl()[1]]
assert len(set(ids)) == 2 and p.uidl(2).split()[2] == ids[1], ids
for n in 1, 2:
    reply, lines, got = p.retr(n)
    assert sum(len(l) + 2 for l in lines) == sizes[n - 1], (n, sizes)
    assert p.top(n, 0)[1] == lines[:lines.index(b"") + 1]
    p.dele(n)
p.rset()
for bad in lambda: p.retr(3), lambda: p.dele(0):
    try: bad()
    except poplib.error_proto: pass
    else: raise SystemExit("no error")
p.noop()
p.dele(1); p.dele(2)
p.quit()
`

func TestPoplib(t *testing.T) {
	overEach(t, "python3", func(s *site, v server) {
		s.run("", "python3", s.file("fetch.py", poplibScript), v.name, v.port, alice, harness.Password)
	})
}

// rabid takes mailbox after mailbox for as long as it runs; no answer is an
// error.
func TestRabid(t *testing.T) {
	s := newSite(t, "rabid")
	const messages, sessions = 30, 60
	for _, user := range []string{"alice", "bob"} {
		for _, sub := range []string{"tmp", "new", "cur"} {
			if err := os.MkdirAll(filepath.Join(s.Mailbox(user), sub), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		for n := range messages {
			name := fmt.Sprintf("new/%d.a,S=%d", n, len(letter))
			if err := os.WriteFile(filepath.Join(s.Mailbox(user), name), []byte(letter), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.start()
	users := s.file("users", alice+" "+strings.ReplaceAll(harness.Password, " ", "")+"\n")
	s.setPassword("alice", strings.ReplaceAll(harness.Password, " ", "")) // rabid splits at blanks
	cmd := exec.Command("rabid", "-p", "1", "-c", "10", "-z", s.dir+"/spoken", "[127.0.0.1]"+harness.Port(s.Addr["pop3"]), users)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	err := harness.Wait("rabid's sessions", time.Minute, func() bool {
		return len(s.Events("event=fetched", "quit=true")) >= sessions
	})
	cmd.Process.Kill()
	cmd.Wait()
	if err != nil {
		t.Fatalf("%v\n%s", err, s.Describe())
	}
	s.left("alice", 0)
	spoken, _ := filepath.Glob(s.dir + "/spoken*")
	for _, path := range spoken {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte("-ERR")) || bytes.Count(text, []byte("+OK goodbye")) < sessions-1 {
			t.Errorf("rabid was told:\n%.3000s", text)
		}
	}
	if len(spoken) == 0 || len(s.Events("event=trouble")) > 0 {
		t.Errorf("%q\n%s", spoken, s.Describe())
	}
}

func (s *site) setPassword(user, password string) {
	s.t.Helper()
	_, err := programs.Must(s.Home.Dir, strings.NewReader(password+"\n"), "mailctl", "user", "passwd", user+"@example.net", "--password-stdin")
	if err != nil {
		s.t.Fatal(err)
	}
}

// left asserts that n messages are left in a mailbox.
func (s *site) left(user string, n int) {
	s.t.Helper()
	if left, _ := filepath.Glob(s.Mailbox(user) + "/*/*"); len(left) != n {
		s.t.Errorf("%d messages left, want %d: %q", len(left), n, left)
	}
}
