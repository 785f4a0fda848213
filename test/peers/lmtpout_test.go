package peers

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"paperpath/test/harness"
)

// lmtpUsers are the mailboxes of dovecotLMTP: one that takes mail, and two that are full,
// the second for now.
const lmtpUsers = `one@imap.example:{PLAIN}x::::::
full@imap.example:{PLAIN}x::::::userdb_quota_rule=*:bytes=1
later@imap.example:{PLAIN}x::::::userdb_quota_rule=*:bytes=1 userdb_quota_full_tempfail=yes
`

// dovecotLMTP runs Dovecot's LMTP server over Maildirs in dir, and returns its socket.
func dovecotLMTP(t *testing.T, dir, addr string) (socket string) {
	t.Helper()
	if _, err := os.Stat("/usr/lib/dovecot/lmtp"); err != nil {
		missing(t, "dovecot-lmtpd")
	}
	if os.Getuid() != 0 {
		missing(t, "root to run Dovecot")
	}
	host, port, _ := strings.Cut(addr, ":")
	socket = filepath.Join(dir, "lmtp")
	for name, text := range map[string]string{
		"users": lmtpUsers,
		"dovecot.conf": `protocols = lmtp
ssl = no
base_dir = ` + dir + `/run
state_dir = ` + dir + `/run
log_path = ` + dir + `/dovecot.log
mail_location = maildir:` + dir + `/mail/%n
mail_plugins = quota
postmaster_address = postmaster@imap.example
plugin {
  quota = maildir:User quota
}
passdb {
  driver = passwd-file
  args = ` + dir + `/users
}
userdb {
  driver = passwd-file
  args = ` + dir + `/users
  override_fields = uid=65534 gid=65534 home=` + dir + `/mail/%n
}
protocol lmtp {
  lmtp_save_to_detail_mailbox = no
}
service lmtp {
  inet_listener lmtp {
    address = ` + host + `
    port = ` + port + `
  }
  unix_listener ` + socket + ` {
    mode = 0666
  }
}
`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "mail"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "mail"), 0o777); err != nil {
		t.Fatal(err)
	}
	serveUntilEnd(t, exec.Command("/usr/sbin/dovecot", "-F", "-c", dir+"/dovecot.conf"), dir+"/dovecot.log", func() bool {
		_, err := os.Stat(socket)
		return err == nil
	})
	return socket
}

// Dovecot stores mail that a route hands it by LMTP, over TCP and over a Unix socket, and
// answers for each recipient: one is done, one unknown, one full for good and one for now.
func TestDovecotTakesByLMTP(t *testing.T) {
	for _, over := range []string{"TCP", "socket"} {
		t.Run(over, func(t *testing.T) {
			dir, addr := reachableDir(t), harness.FreeAddr()
			target := dovecotLMTP(t, dir, addr)
			if over == "TCP" {
				target = addr
			}
			h := newHome(t)
			set(t, h, "routes", "imap.example: lmtp:"+target)
			message := string(letter("by lmtp", "\n.\n..\nGrüße\n"))
			to := []string{"one@imap.example", "nobody@imap.example", "full@imap.example", "later@imap.example"}
			for _, step := range [][]string{append([]string{"mailsubmit", "-i", "-f", alice}, to...), {"mailcheck", "run"}, {"mailroute", "run"},
				{"mailrelay", "run"}, {"mailroute", "run"}, {"maildeliver", "run"}} {
				in := strings.NewReader("")
				if step[0] == "mailsubmit" {
					in = strings.NewReader(message)
				}
				if _, err := programs.Must(h.Dir, in, step[0], step[1:]...); err != nil {
					t.Fatal(err, h.Describe())
				}
			}
			log, _ := os.ReadFile(filepath.Join(dir, "dovecot.log"))
			stored, _ := filepath.Glob(filepath.Join(dir, "mail/one/new/*"))
			if len(stored) != 1 {
				t.Fatalf("%d messages: %s\n%s", len(stored), h.Describe(), log)
			}
			data, err := os.ReadFile(stored[0])
			if err != nil || !strings.HasSuffix(strings.ReplaceAll(string(data), "\r\n", "\n"), "\n.\n..\nGrüße\n") ||
				!strings.Contains(string(data), "by mx.example.net\r\n with local id ") && !strings.Contains(string(data), "by mx.example.net\n with local id ") {
				t.Errorf("%v: %s", err, data)
			}
			bounces := arrived(h, "alice")
			if len(bounces) != 1 {
				t.Fatalf("%d bounces: %s\n%s", len(bounces), h.Describe(), log)
			}
			report, err := os.ReadFile(bounces[0])
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{"Final-Recipient: rfc822; nobody@imap.example\n", "Status: 5.1.1\n",
				"Final-Recipient: rfc822; full@imap.example\n", "Status: 5.2.2\n"} {
				if !strings.Contains(string(report), want) {
					t.Errorf("the bounce has no %q: %s", want, report)
				}
			}
			if strings.Contains(string(report), "one@") || strings.Contains(string(report), "later@") {
				t.Errorf("%s", report)
			}
			waiting := h.Glob("spool/relay/cur/*")
			if len(waiting) != 1 {
				t.Fatalf("%q wait: %s", waiting, log)
			}
			left, err := os.ReadFile(waiting[0])
			if err != nil || strings.Count(string(left), "\nDelivered-To: ") != 1 || !strings.Contains(string(left), "\nDelivered-To: later@imap.example\n") {
				t.Errorf("%v: %s", err, left)
			}
		})
	}
}
