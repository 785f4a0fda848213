package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"paperpath/test/bench"
	"paperpath/test/harness"
)

// postfixSettings are Postfix's defaults, but for where it lies, who it is and where
// mail goes. Numbers of processes, of connections and of recipients, connection reuse
// and writing to disk are as shipped.
const postfixSettings = `compatibility_level = 3.7
queue_directory = %[1]s/spool
data_directory = %[1]s/data
daemon_directory = %[2]s/usr/lib/postfix/sbin
command_directory = %[2]s/usr/sbin
shlib_directory = %[2]s/usr/lib/postfix
mail_owner = %[3]s
setgid_group = %[4]s
import_environment = MAIL_CONFIG LD_LIBRARY_PATH TZ
maillog_file = %[1]s/log
maillog_file_prefixes = %[1]s
myhostname = postfix.example
mydestination =
alias_maps =
alias_database =
mynetworks = 127.0.0.0/8
inet_protocols = ipv4
transport_maps = texthash:%[1]s/etc/transport
`

// postfixServices are Debian's master.cf without what is not used here, and without
// chroot. The queue manager comes when the queue is full.
const postfixServices = ` inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`

const queueManager = "qmgr unix n - n 300 1 qmgr\n"

// postfixOwner and postfixGroup are names that every Debian has and that own nothing
// where Postfix looks: it wants an owner of its own.
const postfixOwner, postfixGroup = "games", "operator"

// postfix is an instance of Postfix that runs from its unpacked package.
type postfix struct {
	dir, addr string
	server    *bench.Server
}

// postfixPackage returns the unpacked package, "" if it is not there.
func postfixPackage() string {
	dir, err := filepath.Abs(".build/peers/postfix")
	if err != nil {
		return ""
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return ""
	}
	return dir
}

// newPostfix starts Postfix without its queue manager.
func newPostfix(dir string, transports []string) (*postfix, error) {
	p := &postfix{dir: dir, addr: harness.FreeAddr()}
	pkg := postfixPackage()
	files := map[string]string{
		"etc/main.cf":        fmt.Sprintf(postfixSettings, dir, pkg, postfixOwner, postfixGroup),
		"etc/master.cf":      p.addr + postfixServices,
		"etc/transport":      strings.Join(transports, "\n") + "\n",
		"etc/dynamicmaps.cf": "",
	}
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	if err := p.directories(); err != nil {
		return nil, err
	}
	return p, p.start()
}

// start runs Postfix.
func (p *postfix) start() (err error) {
	pkg := postfixPackage()
	cmd := exec.Command(pkg+"/usr/lib/postfix/sbin/master", "-d", "-c", p.dir+"/etc")
	cmd.Env = append(os.Environ(), "MAIL_CONFIG="+p.dir+"/etc", "LD_LIBRARY_PATH="+pkg+"/usr/lib/postfix")
	p.server, err = bench.Start("Postfix", p.addr, cmd, func(addr string) error {
		c, err := harness.Dial(addr)
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Expect("220", "")
		return err
	})
	if err != nil {
		return fmt.Errorf("%w\n%s", err, p.log())
	}
	return nil
}

// restart ends Postfix with all that it does, and starts it again with an empty queue.
func (p *postfix) restart() error {
	p.server.Stop()
	return errors.Join(p.services(""), p.forget(), p.start())
}

// directories makes the queue as postfix(1) would.
func (p *postfix) directories() error {
	owner, err := user.Lookup(postfixOwner)
	if err != nil {
		return err
	}
	group, err := user.LookupGroup(postfixGroup)
	if err != nil {
		return err
	}
	uid, _ := strconv.Atoi(owner.Uid)
	gid, _ := strconv.Atoi(group.Gid)
	if err := os.MkdirAll(filepath.Join(p.dir, "spool/pid"), 0o755); err != nil {
		return err
	}
	own := []string{"active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private",
		"saved", "trace", "maildrop", "public"}
	for _, name := range own {
		dir := filepath.Join(p.dir, "spool", name)
		if err := errors.Join(os.MkdirAll(dir, 0o700), os.Chown(dir, uid, -1)); err != nil {
			return err
		}
	}
	data := filepath.Join(p.dir, "data")
	return errors.Join(os.Mkdir(data, 0o700),
		os.Chown(data, uid, -1), os.Chmod(filepath.Join(p.dir, "spool/public"), 0o710),
		os.Chown(filepath.Join(p.dir, "spool/public"), uid, gid))
}

// queued is how many messages are in the queue.
func (p *postfix) queued() int {
	n := 0
	for _, name := range []string{"incoming", "active", "deferred", "hold", "maildrop"} {
		filepath.WalkDir(filepath.Join(p.dir, "spool", name), func(_ string, d os.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				n++
			}
			return nil
		})
	}
	return n
}

// fill submits messages by SMTP, over some sessions.
func (p *postfix) fill(list []letter) error {
	const sessions = 20
	work := make(chan letter, len(list))
	for _, l := range list {
		work <- l
	}
	close(work)
	errs := make([]error, sessions)
	var wg sync.WaitGroup
	for i := range sessions {
		wg.Go(func() { errs[i] = p.submit(work) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("fill Postfix's queue: %w\n%s", err, p.log())
	}
	if n := p.queued(); n != len(list) {
		return fmt.Errorf("fill Postfix's queue: it has %d messages, not %d\n%s", n, len(list), p.log())
	}
	return nil
}

func (p *postfix) submit(work chan letter) error {
	c, err := harness.Dial(p.addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Expect("220", ""); err != nil {
		return err
	}
	if _, err := c.Expect("250", "EHLO client.example"); err != nil {
		return err
	}
	for l := range work {
		if _, err := c.Transfer(sender, l.to, []byte(l.text)); err != nil {
			return err
		}
	}
	_, err = c.Expect("221", "QUIT")
	return err
}

// begin lets the queue manager begin its work.
func (p *postfix) begin() error { return p.services(queueManager) }

// end waits until the queue is empty, and takes the queue manager away again.
func (p *postfix) end() error {
	err := harness.Wait("Postfix's queue to be empty", time.Minute, func() bool { return p.queued() == 0 })
	if err != nil {
		return fmt.Errorf("%w\n%s", err, p.log())
	}
	return p.halt()
}

// halt ends the queue manager and forgets what is still queued.
func (p *postfix) halt() error {
	if err := p.services(""); err != nil {
		return err
	}
	err := harness.Wait("Postfix's queue manager to end", 20*time.Second, func() bool {
		return !slices.ContainsFunc(harness.Descendants(p.server.PID()), func(pid int) bool {
			name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
			return string(name) == "qmgr\n"
		})
	})
	return errors.Join(err, p.forget())
}

// forget removes what is queued.
func (p *postfix) forget() (err error) {
	for _, name := range []string{"incoming", "active", "deferred", "defer"} {
		files, _ := filepath.Glob(filepath.Join(p.dir, "spool", name, "*"))
		for _, f := range files {
			err = errors.Join(err, os.RemoveAll(f))
		}
	}
	return err
}

// services writes master.cf and has it read.
func (p *postfix) services(more string) error {
	file := filepath.Join(p.dir, "etc/master.cf")
	if err := os.WriteFile(file, []byte(p.addr+postfixServices+more), 0o644); err != nil || p.server.Gone() {
		return err
	}
	return syscall.Kill(p.server.PID(), syscall.SIGHUP)
}

// log is the end of what Postfix has logged.
func (p *postfix) log() string {
	text, _ := os.ReadFile(filepath.Join(p.dir, "log"))
	return string(text[max(0, len(text)-4000):]) + p.server.Output()
}
