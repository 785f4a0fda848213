package dkim

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"paperpath/internal/dns/dnstest"
	"paperpath/test/harness"
)

// receiver is a host that gets mail over SMTP, and asks a name server that has the keys of
// the site.
type receiver struct {
	*harness.Home
	t *testing.T
}

func (s *site) receiver(t *testing.T) receiver {
	t.Helper()
	home, err := programs.NewHome(filepath.Join(t.TempDir(), "receiver"), "bob")
	if err != nil {
		t.Fatal(err)
	}
	zone := fmt.Sprintf("%s TXT \"v=spf1 ip4:192.0.2.1 -all\"\n_dmarc.%s TXT \"v=DMARC1; p=reject\"\n", harness.Domain, harness.Domain)
	for name, text := range s.zone {
		zone += name + " TXT"
		for ; text != ""; text = text[min(len(text), 255):] {
			zone += fmt.Sprintf(" %q", text[:min(len(text), 255)])
		}
		zone += "\n"
	}
	if err := home.Set("resolver", dnstest.New(t, zone).Addr); err != nil {
		t.Fatal(err)
	}
	return receiver{home, t}
}

// take has one process of mailsubmit take a message from a client, and returns what it said
// and the results in the entry.
func (r receiver) take(client, from, text string) (said, results string) {
	r.t.Helper()
	before := len(r.Glob("spool/route/new/*"))
	cmd := exec.Command(programs.Path("mailsubmit"), "smtp", "--env", "tcpserver")
	cmd.Env = append(programs.Env(r.Dir), "TCPREMOTEIP="+client)
	text = strings.ReplaceAll(text, "\r\n.", "\r\n..")
	cmd.Stdin = strings.NewReader("EHLO mx.sender.example\r\nMAIL FROM:<" + from + ">\r\nRCPT TO:<bob@" + harness.Domain + ">\r\nDATA\r\n" +
		text + ".\r\nQUIT\r\n")
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Errorf("%v: %s", err, out)
	}
	entries := r.Glob("spool/route/new/*")
	if len(entries) == before {
		return string(out), ""
	}
	entry, err := os.ReadFile(entries[len(entries)-1])
	if err != nil {
		r.t.Fatal(err)
	}
	head, _, _ := strings.Cut(string(entry), "\nReceived:")
	_, results, _ = strings.Cut(head, "\nAuthentication-Results:")
	if err := os.Remove(entries[len(entries)-1]); err != nil {
		r.t.Fatal(err)
	}
	return string(out), strings.Join(strings.Fields(results), " ")
}

// TestSession: what others sign passes DKIM and so DMARC in the SMTP session, and what was
// changed is refused by the policy of the domain.
func TestSession(t *testing.T) {
	s := newSite(t)
	rsaKey := filepath.Join(s.Dir, "control", "dkim", harness.Domain, s.selector("rsa")+".pem")
	text := strings.ReplaceAll(messages()["folded"], "\n", "\r\n")
	for _, by := range []struct {
		signer string
		sign   func(t *testing.T) string
	}{
		{"mailrelay", func(*testing.T) string { return s.send(messages()["folded"]) }},
		{"Mail::DKIM", func(t *testing.T) string {
			return say(t, text, "perl", "testdata/sign.pl", rsaKey, harness.Domain, s.selector("rsa"), "relaxed/relaxed")
		}},
		{"dkimpy", func(t *testing.T) string {
			return say(t, text, "/usr/bin/python3", "testdata/sign.py", rsaKey, harness.Domain, s.selector("rsa"), "simple/simple", "rsa-sha256")
		}},
	} {
		t.Run(by.signer, func(t *testing.T) {
			if by.signer != "mailrelay" {
				s.need(t, by.signer)
			}
			r := s.receiver(t)
			signed := by.sign(t)
			said, results := r.take("192.0.2.9", "list@elsewhere.example", signed)
			for _, want := range []string{"dkim=pass (2048-bit key) header.d=" + harness.Domain, "header.s=" + s.selector("rsa"), "header.a=rsa-sha256",
				"header.b=", "spf=none", "smtp.mailfrom=list@elsewhere.example", "smtp.helo=mx.sender.example", "iprev=permerror",
				"policy.iprev=192.0.2.9", "dmarc=pass", "header.from=" + harness.Domain, "policy.dmarc=reject"} {
				if !strings.Contains(results, want) {
					t.Errorf("no %q in %q; %s", want, results, said)
				}
			}
			said, results = r.take("192.0.2.9", "list@elsewhere.example", signed+"more\r\n")
			if !strings.Contains(said, "\n550 5.7.26 DMARC: ") || results != "" {
				t.Errorf("changed: %s, %q", said, results)
			}
			_, results = r.take("192.0.2.1", "alice@"+harness.Domain, signed+"more\r\n")
			if !strings.Contains(results, "dkim=fail") || !strings.Contains(results, "spf=pass") || !strings.Contains(results, "dmarc=pass") {
				t.Errorf("changed, by a host that SPF allows: %q", results)
			}
		})
	}
}
