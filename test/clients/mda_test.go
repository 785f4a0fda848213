package clients

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paperpath/test/harness"
)

// Programs that fetch mail store it by maildeliver: what alice has at the one mailbox comes
// into bob's, once, and is deleted there only then.
func TestMaildeliverFetched(t *testing.T) {
	for name, fetch := range map[string]func(s *site, mda string){
		"fetchmail": func(s *site, mda string) {
			rc := s.file("fetchmailrc", `poll 127.0.0.1 protocol pop3 port `+harness.Port(s.Addr["pop3"])+` uidl auth password
  user "`+alice+`" password "`+harness.Password+`" sslproto "" mda "`+mda+` -f %F" nokeep
`)
			s.run("", "fetchmail", "-f", rc, "--idfile", s.dir+"/ids", "--pidfile", s.dir+"/pid", "--nodetach", "--nosyslog", "--silent")
		},
		"getmail": func(s *site, mda string) {
			words := strings.Fields(mda)
			s.file("getmailrc", "[retriever]\ntype = SimplePOP3Retriever\nserver = 127.0.0.1\nport = "+harness.Port(s.Addr["pop3"])+
				"\nusername = "+alice+"\npassword = "+harness.Password+"\n[destination]\ntype = MDA_external\npath = "+words[0]+
				"\narguments = (\""+strings.Join(words[1:], `", "`)+"\", \"-f\", \"%(sender)\")\nunixfrom = false\nallow_root_commands = true\n"+
				"[options]\ndelete = true\n")
			s.run("", "getmail", "--getmaildir="+s.dir, "--rcfile=getmailrc")
		},
		"fdm": func(s *site, mda string) {
			conf := s.file("fdm.conf", "set lock-file \""+s.dir+"/fdm.lock\"\naccount \"a\" pop3 server \"127.0.0.1\" port "+harness.Port(s.Addr["pop3"])+
				" user \""+alice+"\" pass \""+harness.Password+"\"\naction \"mda\" pipe \""+mda+"\"\nmatch all action \"mda\"\n")
			if err := os.Chmod(conf, 0o600); err != nil {
				s.t.Fatal(err)
			}
			s.run("", "fdm", "-f", conf, "fetch")
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, name).start()
			for _, text := range []string{"Subject: one\n\n.dot\n", "Subject: two\n\nlast"} {
				if _, err := programs.Must(s.Home.Dir, strings.NewReader(text), "maildeliver", "-d", "alice", "-f", "carol@x.example"); err != nil {
					t.Fatal(err)
				}
			}
			fetch(s, programs.Path("maildeliver")+" --home "+s.Home.Dir+" -d bob@example.net")
			if left := len(s.messages("alice")); left != 0 {
				t.Errorf("%d messages stay", left)
			}
			got := strings.Join(s.messages("bob"), "")
			for _, want := range []string{"Subject: one\n", "\n\n.dot\n", "Subject: two\n", "\n\nlast\n", "Delivered-To: bob@example.net\n"} {
				if strings.Count(got, want) != 1 && !strings.HasPrefix(want, "Delivered") {
					t.Errorf("%q is there %d times in\n%s", want, strings.Count(got, want), got)
				}
			}
			if n := len(s.messages("bob")); n != 2 {
				t.Errorf("%d messages", n)
			}
		})
	}
}

// messages returns the files of a user's mailbox.
func (s *site) messages(user string) (list []string) {
	s.t.Helper()
	names, err := filepath.Glob(filepath.Join(s.Mailbox(user), "[nc][eu][wr]", "*"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			s.t.Fatal(err)
		}
		list = append(list, string(text))
	}
	return list
}
