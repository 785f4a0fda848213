package world

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"paperpath/test/harness"
)

// Dovecot gets mail by LMTP and answers for each recipient.
func TestLMTP(t *testing.T) {
	w := newWorld(t)
	boxes := w.dovecot("one", "two")
	w.set("routes", "dovecot.example: lmtp:"+dovecotAddr+":24")
	sent := harness.Shapes()
	for _, message := range sent {
		w.submit(message, "one@dovecot.example", "nobody@dovecot.example", "two@dovecot.example")
	}
	w.run("mailcheck", "mailroute", "mailrelay")
	for _, user := range []string{"one", "two"} {
		names, _ := filepath.Glob(filepath.Join(boxes, user, "new", "*"))
		if len(names) != len(sent) {
			t.Errorf("%s has %d messages, not %d\n%s", user, len(names), len(sent), w.home.Describe())
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			shape := harness.ShapeOf(text)
			got := harness.Body(harness.Body(text))
			if shape == "long lines" { // beyond what SMTP and LMTP allow
				got = harness.Unconverted(got)
			}
			sameOctets(t, user+", "+shape, got, sent[shape])
		}
	}
	w.bounced(len(sent))
}

// boxOwner has all mailboxes of Dovecot; no account of this machine is needed for it.
const boxOwner = 61234

// dovecot runs Dovecot's LMTP server with some users of dovecot.example, and returns the
// folder with a Maildir for each.
func (w *world) dovecot(users ...string) string {
	w.t.Helper()
	const program = "/usr/lib/dovecot/lmtp"
	if _, err := os.Stat(program); err != nil {
		missing(w.t, "dovecot-lmtpd (an LMTP server)")
	}
	dir := filepath.Join(w.dir, "dovecot")
	passwd := ""
	for _, u := range users {
		passwd += u + "@dovecot.example:{PLAIN}x::::::\n"
	}
	w.write(filepath.Join(dir, "users"), passwd, 0o644)
	boxes := filepath.Join(dir, "boxes")
	if err := os.Mkdir(boxes, 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Chown(boxes, boxOwner, boxOwner); err != nil {
		w.t.Fatal(err)
	}
	conf := w.write(filepath.Join(dir, "dovecot.conf"), fmt.Sprintf(`base_dir = %[1]s/run
state_dir = %[1]s/run
log_path = %[1]s/log
protocols = lmtp
ssl = no
postmaster_address = postmaster@dovecot.example
hostname = dovecot.example
passdb {
  driver = passwd-file
  args = username_format=%%u %[1]s/users
}
userdb {
  driver = passwd-file
  args = username_format=%%u %[1]s/users
  override_fields = uid=%[2]d gid=%[2]d home=%[1]s/boxes/%%n
}
first_valid_uid = 1
mail_location = maildir:%[1]s/boxes/%%n
service lmtp {
  inet_listener lmtp {
    address = %[3]s
    port = 24
  }
  user = root
}
service anvil {
  chroot =
}
`, dir, boxOwner, dovecotAddr), 0o644)
	w.serve("dovecot", exec.Command("dovecot", "-F", "-c", conf), dir+"/log", dovecotAddr+":24")
	return boxes
}
