package pop3

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"paperpath/test/bench"
	"paperpath/test/harness"
)

// dovecotSettings is Dovecot as its authors advise to run it for speed: login
// processes that serve any number of sessions ("high-performance mode"), mail
// processes that are kept and used again (possible since all mailboxes have one
// owner), some of both waiting, limits out of the way, password hashes checked
// by as many workers as there are processors, and directories that are believed
// unchanged as long as their time is.
const dovecotSettings = `# base
base_dir = %[1]s/run
state_dir = %[1]s/run
log_path = %[1]s/dovecot.log
protocols = pop3
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain
mail_max_userip_connections = 0
default_process_limit = 4096
default_client_limit = 16384
default_vsz_limit = 1G
auth_cache_size = 10M
auth_cache_verify_password_with_worker = yes

passdb {
  driver = passwd-file
  args = username_format=%%u %[2]s/control/users
}
userdb {
  driver = passwd-file
  args = username_format=%%u %[2]s/control/users
}
mail_uid = %[3]d
mail_gid = %[3]d
first_valid_uid = 1
mail_home = %[2]s/mail/%%d/%%n
mail_location = maildir:~/Maildir
maildir_very_dirty_syncs = yes

service pop3-login {
  inet_listener pop3 {
    port = %[4]s
  }
  service_count = 0
  process_min_avail = 2
}
service pop3 {
  service_count = %[5]d
  client_limit = %[6]d
  process_min_avail = %[7]d
  process_limit = 4096
}
service auth-worker {
  process_limit = 4
}
`

// dovecotWays are how many sessions a process of Dovecot's pop3 serves in its
// life, how many at a time, and how many processes wait.
type dovecotWays struct{ sessions, atATime, waiting int }

var (
	// oneEach is what Dovecot advises for mail processes, whose disk accesses
	// would hold other sessions up; they are used again.
	oneEach = dovecotWays{sessions: 100000, atATime: 1, waiting: 10}
	// shared costs Dovecot the least memory: the processes are few.
	shared = dovecotWays{sessions: 0, atATime: 500, waiting: 2}
)

// dovecot starts Dovecot on the mailboxes of w.
func (w *world) dovecot(ways dovecotWays) (*bench.Server, error) {
	addr := harness.FreeAddr()
	dir, err := os.MkdirTemp(w.dir, "dovecot")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	text := fmt.Sprintf(dovecotSettings, dir, w.home, owner, harness.Port(addr), ways.sessions, ways.atATime, ways.waiting)
	conf := filepath.Join(dir, "dovecot.conf")
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		return nil, err
	}
	cmd := exec.Command("dovecot", "-F", "-c", conf)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s, err := bench.Start("Dovecot", addr, cmd, greets)
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(dir, "dovecot.log"))
		return nil, fmt.Errorf("%w\n%s", err, log)
	}
	return s, nil
}
