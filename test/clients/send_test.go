package clients

import (
	"bytes"
	"os"
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
		s.holds(s.arrived("alice", 3), "with ESMTPSA id")
	}
}

func TestMsmtp(t *testing.T) {
	s := newSite(t, "msmtp").start()
	s.run(letter, "msmtp", "--host=127.0.0.1", "--port="+harness.Port(s.Addr["submission"]), "--auth=plain", "--user="+bob,
		"--passwordeval=echo "+harness.Password, "--tls=on", "--tls-starttls=on", "--tls-certcheck=off", "-f", bob, "--", alice)
	s.holds(s.arrived("alice", 1), "with ESMTPSA id", "Grüße")
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
