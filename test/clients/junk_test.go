package clients

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/internal/milter/miltertest"
	"paperpath/test/harness"
)

// A field that a milter adds in the SMTP session makes a message junk: it lies in the
// folder Junk, and Dovecot shows it there and nowhere else.
func TestDovecotSeesJunk(t *testing.T) {
	s := newSite(t, "doveadm")
	spam := &miltertest.Server{Answers: map[byte][]byte{
		'E': miltertest.Packets(miltertest.Packet('h', "X-Spam\x00Yes, 17 points\x00"), miltertest.Packet('c'))}}
	s.filter("spam: milter:unix:" + spam.Start(t).Path + ` for=outside "junk=X-Spam: Yes"`)
	box := s.Mailbox("alice")
	for _, dir := range []string{"cur", "new", "tmp", ".Junk/cur", ".Junk/new", ".Junk/tmp"} {
		if err := os.MkdirAll(filepath.Join(box, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s.start()
	s.letter("marked")
	s.filed(".Junk/new")
	spam.Script(map[byte][]byte{'E': miltertest.Packet('c')})
	s.letter("clean")
	s.filed("new")

	got := s.shownByDovecot(box)
	for _, want := range []string{"mailbox: Junk\nhdr.subject: marked\nhdr.x-spam: Yes, 17 points\n", "mailbox: INBOX\nhdr.subject: clean\nhdr.x-spam: \n"} {
		if strings.Count(got, want) != 1 {
			t.Errorf("%q is not once in\n%s", want, got)
		}
	}
	if n := strings.Count(got, "mailbox: "); n != 2 {
		t.Errorf("%d messages:\n%s", n, got)
	}
}

// filter sets the row of a filter, long ago.
func (s *site) filter(row string) {
	s.t.Helper()
	if err := s.Set("filters", row); err != nil {
		s.t.Fatal(err)
	}
	if err := s.Still("filters"); err != nil {
		s.t.Fatal(err)
	}
}

// letter sends alice a message over SMTP, as a stranger.
func (s *site) letter(subject string) {
	s.t.Helper()
	text := fmt.Sprintf("From: %s\nTo: %s\nSubject: %s\n\nhello\n", harness.Carol, alice, subject)
	if _, err := harness.SendMail(s.Addr["mx"], harness.Carol, []string{alice}, []byte(text)); err != nil {
		s.t.Fatal(err)
	}
}

// filed waits until there is one message in that directory of alice's mailbox.
func (s *site) filed(dir string) {
	s.t.Helper()
	err := harness.Wait("a message in "+dir, time.Minute, func() bool {
		files, _ := os.ReadDir(filepath.Join(s.Mailbox("alice"), dir))
		return len(files) == 1
	})
	if err != nil {
		s.t.Fatalf("%v\n%s", err, s.Describe())
	}
}

// shownByDovecot copies a Maildir with its folders and returns in which folder Dovecot
// shows which message.
func (s *site) shownByDovecot(box string) string {
	s.t.Helper()
	u, err := user.Current()
	if err != nil {
		s.t.Fatal(err)
	}
	dir := s.t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "box"), os.DirFS(box)); err != nil {
		s.t.Fatal(err)
	}
	if u.Uid == "0" { // it reads no mail as root
		if u, err = user.Lookup("mail"); err != nil {
			s.t.Fatal(err)
		}
	}
	conf := filepath.Join(dir, "dovecot.conf")
	text := fmt.Sprintf("mail_location = maildir:%s/box\nmail_uid = %s\nmail_gid = %s\nfirst_valid_uid = 1\n"+
		"base_dir = %s/run\nlog_path = %s/log\nssl = no\n", dir, u.Uid, u.Gid, dir, dir)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
	own(s.t, dir, u)
	s.t.Setenv("USER", u.Username)
	return strings.ReplaceAll(output(s.t, dir, "", "doveadm", "-c", conf, "fetch", "mailbox hdr.subject hdr.x-spam", "mailbox", "*", "all"), "\f", "")
}
