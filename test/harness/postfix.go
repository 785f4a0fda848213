package harness

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
)

// postfixBase says where an instance of Postfix lies and who it is. Everything else is
// as shipped.
const postfixBase = `compatibility_level = 3.7
queue_directory = %[1]s/spool
data_directory = %[1]s/data
daemon_directory = %[2]s/usr/lib/postfix/sbin
command_directory = %[2]s/usr/sbin
shlib_directory = %[2]s/usr/lib/postfix
mail_owner = ` + postfixOwner + `
setgid_group = ` + postfixGroup + `
import_environment = MAIL_CONFIG LD_LIBRARY_PATH TZ
export_environment = MAIL_CONFIG LD_LIBRARY_PATH TZ
maillog_file = %[1]s/log
maillog_file_prefixes = %[1]s
mydestination =
alias_maps =
alias_database =
`

// PostfixServices are Debian's master.cf without chroot, listeners and the queue
// manager, and without what no test uses.
const PostfixServices = `cleanup unix n - n - 0 cleanup
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
tlsmgr unix - - n 1000? 1 tlsmgr
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`

// PostfixQueueManager is the line of master.cf that sends what is queued.
const PostfixQueueManager = "qmgr unix n - n 300 1 qmgr\n"

// postfixOwner and postfixGroup are names that every Debian has and that own nothing
// where Postfix looks: it wants an owner of its own.
const postfixOwner, postfixGroup = "games", "operator"

// Postfix is an instance of Postfix that runs from its unpacked package, as root, with
// files of its own: no namespace is needed for it.
type Postfix struct{ Dir, pkg string }

// NewPostfix writes an instance into dir, which other users must be able to reach: more
// is added to main.cf, and services is master.cf.
func NewPostfix(dir, more, services string) (*Postfix, error) {
	p := &Postfix{Dir: dir, pkg: Unpacked("postfix")}
	if p.pkg == "" {
		return nil, errors.New("postfix is not unpacked (test/peers/fetch.sh)")
	}
	for name, text := range map[string]string{
		"main.cf":        fmt.Sprintf(postfixBase, dir, p.pkg) + more,
		"dynamicmaps.cf": "",
	} {
		if err := p.Write(name, text); err != nil {
			return nil, err
		}
	}
	return p, errors.Join(p.Services(services), p.directories())
}

// Write writes a file beside main.cf.
func (p *Postfix) Write(name, text string) error {
	if err := os.MkdirAll(filepath.Join(p.Dir, "etc"), 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(p.Dir, "etc", name), []byte(text), 0o644)
}

// Services writes master.cf.
func (p *Postfix) Services(text string) error { return p.Write("master.cf", text) }

// directories makes the queue as postfix(1) would.
func (p *Postfix) directories() error {
	group, err := user.LookupGroup(postfixGroup)
	if err != nil {
		return err
	}
	gid, _ := strconv.Atoi(group.Gid)
	if err := os.MkdirAll(filepath.Join(p.Dir, "spool/pid"), 0o755); err != nil {
		return err
	}
	for _, name := range []string{"active", "bounce", "corrupt", "defer", "deferred", "flush", "hold",
		"incoming", "private", "saved", "trace", "maildrop", "public"} {
		dir := filepath.Join(p.Dir, "spool", name)
		if err := errors.Join(os.MkdirAll(dir, 0o700), p.Own(dir)); err != nil {
			return err
		}
	}
	public, data := filepath.Join(p.Dir, "spool/public"), filepath.Join(p.Dir, "data")
	return errors.Join(os.Mkdir(data, 0o700), p.Own(data),
		os.Chmod(public, 0o710), os.Chown(public, -1, gid))
}

// Own gives a file or directory to the user as whom the instance works.
func (p *Postfix) Own(path string) error {
	owner, err := user.Lookup(postfixOwner)
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(owner.Uid)
	if err != nil {
		return err
	}
	return os.Chown(path, uid, -1)
}

// Command starts it in the foreground. It must run in a process group of its own.
func (p *Postfix) Command() *exec.Cmd {
	cmd := exec.Command(p.pkg+"/usr/lib/postfix/sbin/master", "-d", "-c", p.Dir+"/etc")
	cmd.Env = p.Env()
	return cmd
}

// Sendmail is the path of its sendmail command, which needs Env.
func (p *Postfix) Sendmail() string { return p.pkg + "/usr/sbin/sendmail" }

// Env is the environment in which its programs find this instance.
func (p *Postfix) Env() []string {
	return append(os.Environ(), "MAIL_CONFIG="+p.Dir+"/etc", "LD_LIBRARY_PATH="+p.pkg+"/usr/lib/postfix")
}

// Queued is how many messages are in the queue.
func (p *Postfix) Queued() int {
	n := 0
	for _, name := range []string{"incoming", "active", "deferred", "hold", "maildrop"} {
		filepath.WalkDir(filepath.Join(p.Dir, "spool", name), func(_ string, d os.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				n++
			}
			return nil
		})
	}
	return n
}

// Log is the end of what it has logged.
func (p *Postfix) Log() string {
	text, _ := os.ReadFile(filepath.Join(p.Dir, "log"))
	return string(text[max(0, len(text)-4000):])
}
