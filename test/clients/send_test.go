package clients

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"paperpath/test/harness"
)

func TestCurlSends(t *testing.T) {
	s := newSite(t, "curl").start()
	f := s.file("letter", letter)
	s.run("", "curl", "-sS", "smtp://"+s.Addr["mx"]+"/client.example.org", "--mail-from", "carol@example.org", "--mail-rcpt", alice, "-T", f, "--crlf")
	s.holds(s.arrived("alice", 1), "Grüße\n.dot\n")
	s.run("", "curl", "-sSk", "--ssl-reqd", "smtp://"+s.Addr["submission"], "-u", bob+":"+harness.Password,
		"--mail-from", bob, "--mail-rcpt", alice, "-T", f, "--crlf")
	got := s.arrived("alice", 2)
	s.holds(got, "with ESMTPSA id")
	if !bytes.Equal(harness.Body(got), []byte(letter)) {
		t.Errorf("differs:\n%s", got)
	}
	if addr := s.Addr["submissions"]; addr != "" {
		s.run("", "curl", "-sSk", "smtps://"+addr, "-u", bob+":"+harness.Password,
			"--mail-from", bob, "--mail-rcpt", alice, "-T", f, "--crlf")
		s.holds(s.arrived("alice", 3), "by mx.example.net (TLS1.3 TLS_AES_", "with ESMTPSA id")
	}
}

// curl's exit statuses: 55 the sender or a recipient was refused, 56 the
// message was, 60 the certificate is not trusted, 64 no TLS, 67 no login.
func TestCurlStatus(t *testing.T) {
	s := newSite(t, "curl").start()
	f := s.file("letter", letter)
	right, wrong := bob+":"+harness.Password, bob+":wrong"
	mx, submission, submissions := "smtp://"+s.Addr["mx"], "smtp://"+s.Addr["submission"], "smtps://"+s.Addr["submissions"]
	arrived := 0
	for _, c := range []struct {
		name   string
		status int
		args   []string
	}{
		{"mail-auth", 0, []string{submission, "-u", right, "--mail-from", bob, "--mail-auth", bob, "--mail-rcpt", alice}},
		{"mail-auth of nobody", 0, []string{submission, "-u", right, "--mail-from", bob, "--mail-auth", "<>", "--mail-rcpt", alice}},
		{"PLAIN", 0, []string{submission, "-k", "--ssl-reqd", "-u", right, "--login-options", "AUTH=PLAIN", "--mail-from", bob, "--mail-rcpt", alice}},
		{"LOGIN", 0, []string{submissions, "-k", "-u", right, "--login-options", "AUTH=LOGIN", "--mail-from", bob, "--mail-rcpt", alice}},
		{"initial response", 0, []string{submissions, "-k", "-u", right, "--sasl-ir", "--mail-from", bob, "--mail-rcpt", alice}},
		{"tls 1.2", 0, []string{submissions, "-k", "--tls-max", "1.2", "-u", right, "--mail-from", bob, "--mail-rcpt", alice}},
		{"one recipient refused", 0, []string{mx, "--mail-rcpt-allowfails", "--mail-from", bob, "--mail-rcpt", "nobody@example.net", "--mail-rcpt", alice}},
		{"unknown recipient", 55, []string{mx, "--mail-from", bob, "--mail-rcpt", "nobody@example.net"}},
		{"relaying", 55, []string{mx, "--mail-from", bob, "--mail-rcpt", "far@elsewhere.example"}},
		{"sender of another", 55, []string{submission, "-u", right, "--mail-from", alice, "--mail-rcpt", alice}},
		{"no login", 55, []string{submission, "--mail-from", bob, "--mail-rcpt", alice}},
		{"wrong password", 67, []string{submission, "-k", "--ssl-reqd", "-u", wrong, "--mail-from", bob, "--mail-rcpt", alice}},
		{"certificate not trusted", 60, []string{submissions, "-u", right, "--mail-from", bob, "--mail-rcpt", alice}},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := append([]string{"curl", "-sS", "-T", f, "--crlf"}, c.args...)
			r, err := programs.Run(s.Home.Dir, nil, "/usr/bin/env", args...)
			if err != nil || r.Status != c.status {
				t.Errorf("exit status %d, want %d (%v)\n%s%s", r.Status, c.status, err, r.Stdout, r.Stderr)
			}
			if c.status == 0 {
				arrived++
				s.t = t
				s.holds(s.arrived("alice", arrived), "Grüße\n.dot\n")
			}
		})
	}
	s.t = t
	s.arrived("alice", arrived)
}

// msmtp's exit statuses are those of sysexits.h: 65 a recipient was refused,
// 69 the certificate, 77 no login.
func TestMsmtp(t *testing.T) {
	s := newSite(t, "msmtp").start()
	password := "--passwordeval=echo " + harness.Password
	starttls := []string{"--port=" + harness.Port(s.Addr["submission"]), "--tls=on", "--tls-starttls=on", "--tls-certcheck=off", "--user=" + bob}
	implicit := []string{"--port=" + harness.Port(s.Addr["submissions"]), "--tls=on", "--tls-starttls=off", "--tls-certcheck=off", "--user=" + bob}
	arrived := 0
	for _, c := range []struct {
		name   string
		status int
		with   string
		how    []string
		more   []string
	}{
		{"plain", 0, "ESMTPSA", starttls, []string{"--auth=plain", password}},
		{"login", 0, "ESMTPSA", starttls, []string{"--auth=login", password}},
		{"best", 0, "ESMTPSA", starttls, []string{"--auth=on", password}},
		{"implicit", 0, "ESMTPSA", implicit, []string{"--auth=plain", password}},
		{"wrong password", 77, "", implicit, []string{"--auth=plain", "--passwordeval=echo wrong"}},
		{"certificate", 69, "", []string{"--port=" + harness.Port(s.Addr["mx"]), "--tls=on", "--tls-trust-file=/etc/ssl/certs/ca-certificates.crt"}, nil},
		{"recipient", 65, "", []string{"--port=" + harness.Port(s.Addr["mx"])}, []string{"nobody@example.net"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := append([]string{"msmtp", "--host=127.0.0.1", "-f", bob}, append(c.how, c.more...)...)
			r, err := programs.Run(s.Home.Dir, strings.NewReader(letter), "/usr/bin/env", append(args, alice)...)
			if err != nil || r.Status != c.status {
				t.Errorf("exit status %d, want %d (%v)\n%s%s", r.Status, c.status, err, r.Stdout, r.Stderr)
			}
			if c.with != "" {
				arrived++
				s.t = t
				s.holds(s.arrived("alice", arrived), "with "+c.with+" id", "Grüße")
			}
		})
	}
	s.t = t
	s.arrived("alice", arrived)
}

func TestMutt(t *testing.T) {
	s := newSite(t, "mutt").start()
	rc := s.file("muttrc", `set from="bob@example.net"
set realname="Bob"
set use_envelope_from=yes
set sendmail="`+programs.Path("sendmail")+` -oem -oi"
set copy=no
set charset=utf-8
`)
	s.run("Grüße from mutt\n", "mutt", "-F", rc, "-s", "by mutt", "-b", bob, "--", alice)
	got := s.arrived("alice", 1)
	s.holds(got, "Subject: by mutt", "Return-Path: <bob@example.net>", "Delivered-To: alice@example.net")
	if bytes.Contains(got, []byte("Bcc")) || bytes.Contains(got, []byte("Delivered-To: bob")) {
		t.Errorf("the Bcc recipient shows:\n%s", got)
	}
	s.arrived("bob", 1)
}

// git calls sendmail with -i and the recipients as arguments.
func TestGitSendEmail(t *testing.T) {
	s := newSite(t, "git").start()
	if out, err := os.ReadFile("/usr/lib/git-core/git-send-email"); err != nil || len(out) == 0 {
		if harness.Missing("git send-email") {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	s.run("", "git", "init", "-q", "repo")
	repo := s.dir + "/repo"
	s.file("repo/file", "text\n")
	s.run("", "git", "-C", repo, "add", "file")
	s.run("", "git", "-C", repo, "-c", "user.name=Bob", "-c", "user.email="+bob, "commit", "-q", "-m", "a change")
	s.run("", "git", "-C", repo, "format-patch", "-q", "-1", "--root", "-o", s.dir+"/patches")
	s.run("", "git", "-C", repo, "-c", "user.name=Bob", "-c", "user.email="+bob, "send-email",
		"--sendmail-cmd="+programs.Path("sendmail"), "--from="+bob, "--to="+alice, "--confirm=never", "--quiet",
		"--suppress-cc=all", s.dir+"/patches/0001-a-change.patch")
	s.holds(s.arrived("alice", 1), "Subject: [PATCH] a change", "+text")
}

func TestSNail(t *testing.T) {
	s := newSite(t, "s-nail").start()
	s.run("by s-nail\n", "s-nail", "-:/", "-S", "sendwait", "-S", "mta="+programs.Path("sendmail"), "-r", bob, "-s", "nailed", alice)
	s.holds(s.arrived("alice", 1), "Subject: nailed", "by s-nail")
	s.run("by s-nail\n", "s-nail", "-:/", "-S", "v15-compat", "-S", "sendwait", "-S", "smtp-auth=none",
		"-S", "mta=smtp://"+s.Addr["mx"], "-r", "carol@example.org", "-s", "nailed again", alice)
	s.holds(s.arrived("alice", 2), "Subject: nailed again")
}

// PHP writes CRLF, calls sendmail -t -i through a shell, and adds what the
// caller gives as fifth argument.
func TestPHP(t *testing.T) {
	s := newSite(t, "php").start()
	s.run("", "php", "-n", "-d", "sendmail_path="+programs.Path("sendmail")+" -t -i", "-r", `exit(mail("alice@example.net, carol@far.example", "Grüße",
"line\r\n.\r\nlast", "From: Shop <shop@example.net>\r\nBcc: bob@example.net", "-fbounce@example.net -ODeliveryMode=b") ? 0 : 1);`)
	got := s.arrived("alice", 1)
	s.holds(got, "Return-Path: <bounce@example.net>", "Subject: Grüße\n", "From: Shop <shop@example.net>\n", "\n\nline\n.\nlast\n", "\nDate: ")
	if bytes.Contains(got, []byte("Bcc")) || bytes.Contains(got, []byte("\r")) {
		t.Errorf("%q", got)
	}
	s.arrived("bob", 1)
}
