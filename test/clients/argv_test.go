package clients

import (
	"bytes"
	"strings"
	"testing"
)

// recorded are argument lists that real programs gave to sendmail (of Debian
// 12 where nothing else is said), with a message of the kind that it writes.
var recorded = []struct {
	client, args string // separated by blanks
	input        string
	sender       string // where it is said
	holds        string // what has to stand in the message that arrives
}{
	{"s-nail", "-i -- alice@example.net", "Subject: s\n\n.\nend\n", "", "\n\n.\nend\n"},
	{"s-nail -r", "-i -f bob@example.net -- alice@example.net", "From: bob@example.net\nSubject: s\n\nend\n", bob, "Subject: s"},
	{"bsd-mailx", "-i -t", "To: alice@example.net\nSubject: s\n\n.\nend\n", "", "\n\n.\nend\n"},
	{"bsd-mailx -r", "-i -t -f bob@example.net", "To: alice@example.net\nSubject: s\n\nend\n", bob, "To: alice@example.net"},
	{"bsd-mailx -b", "-i -t", "To: alice@example.net\nBcc: bob@example.net\nSubject: s\n\nend\n", "", "Subject: s\n"},
	{"mailutils", "-oi -f bob@example.net -t", "From: <bob@example.net>\nTo: <alice@example.net>\n\nend\n", bob, "\nend\n"},
	{"mutt", "-oem -oi -- alice@example.net", "From: Bob <bob@example.net>\nTo: alice@example.net\n\n.\nend\n", "", "\n\n.\nend\n"},
	{"mutt with DSN", "-oem -oi -f bob@example.net -N failure,delay -R hdrs -- alice@example.net", "From: bob@example.net\n\nend\n", bob, "\nend\n"},
	{"mutt, 8 bit", "-oem -oi -B8BITMIME -- alice@example.net", "From: bob@example.net\n\nGrüße\n", "", "Grüße"},
	{"git send-email", "-i alice@example.net", "From: bob@example.net\nSubject: [PATCH] x\n\n---\n.\n", "", "\n---\n.\n"},
	{"git --envelope-sender", "-f bob@example.net -i alice@example.net", "From: bob@example.net\n\nx\n", bob, "\nx\n"},
	{"git --sendmail-cmd", "-v -i alice@example.net", "From: bob@example.net\n\nx\n", "", "\nx\n"},
	{"PHP", "-t -i", "To: alice@example.net\r\nSubject: from php\r\nX-PHP-Originating-Script: 0:a.php\r\n\r\nline\nline\r\n", "", "\n\nline\nline\n"},
	{"PHP, fifth argument", "-t -i -fbob@example.net -ODeliveryMode=b", "To: alice@example.net\nSubject: s\n\nx\n", bob, "Subject: s"},
	{"cron", "-FCronDaemon -i -B8BITMIME -oem alice", "From: root (Cron Daemon)\nTo: alice\nSubject: Cron <root@vm> true\n\n.\nout\n", "", "\n\n.\nout\n"},
	{"cronie", "-FCronDaemon -i -odi -oem -oi -t -f bob@example.net", "From: \"(Cron Daemon)\" <bob@example.net>\nTo: alice@example.net\n\nout\n", bob, "Cron Daemon"},
	{"vixie cron", "-FCronDaemon -odi -oem -oi -t", "From: root (Cron Daemon)\nTo: alice@example.net\n\nout\n", "", "\nout\n"},
	{"busybox crond", "-ti", "To: alice@example.net\nSubject: cron: true\n\nout\n", "", "\nout\n"},
	{"mdadm", "-t", "From: mdadm monitoring <bob@example.net>\nTo: alice@example.net\nSubject: Fail event\n\nx\n", "", "Fail event"},
}

// Every argument list is taken, and the message arrives as it should.
func TestRecordedArguments(t *testing.T) {
	s := newSite(t, "").start()
	for n, c := range recorded {
		t.Run(c.client, func(t *testing.T) {
			s.t = t
			s.run(c.input, programs.Path("sendmail"), strings.Fields(c.args)...)
			got := s.arrived("alice", n+1)
			s.holds(got, c.holds, "\nDate: ", "\nMessage-ID: ", "\nFrom: ")
			if c.sender != "" {
				s.holds(got, "Return-Path: <"+c.sender+">")
			}
			if bytes.Contains(got, []byte("\r")) || bytes.Contains(got, []byte("\nBcc:")) {
				t.Errorf("%q", got)
			}
		})
	}
	s.t = t
	s.arrived("bob", 1) // the Bcc of bsd-mailx
}
