// Package milters has mail filters of other people work for the built programs: rspamd,
// opendkim, clamav-milter and spamass-milter, each as a process of its own with settings
// of its own.
package milters

import (
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"paperpath/test/harness"
)

var programs harness.Programs

func TestMain(m *testing.M) { os.Exit(harness.Main(m, &programs)) }

const (
	alice  = "alice@example.net"
	sender = harness.Carol // unknown here
)

// daemon is a filter, or what it asks, that runs as a user of its own where we are root.
type daemon struct {
	t    *testing.T
	dir  string // of its settings, sockets and logs
	user string
}

// newDaemon makes the directory. The test is skipped without the programs.
func newDaemon(t *testing.T, account string, need ...string) *daemon {
	t.Helper()
	for _, name := range need {
		if _, err := exec.LookPath(name); err != nil {
			if harness.Missing(name) {
				t.Fatal("CI needs " + name)
			}
			t.Skip(name + " is missing")
		}
	}
	dir, err := os.MkdirTemp("", "milter") // t.TempDir's is closed to others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	d := &daemon{t: t, dir: dir}
	if os.Geteuid() == 0 {
		d.user = account
	}
	d.own(dir)
	return d
}

// ids are those of its user.
func (d *daemon) ids() (uid, gid int) {
	u, err := user.Lookup(d.user)
	if err != nil {
		d.t.Fatal(err)
	}
	uid, _ = strconv.Atoi(u.Uid)
	gid, _ = strconv.Atoi(u.Gid)
	return uid, gid
}

func (d *daemon) own(path string) {
	if d.user == "" {
		return
	}
	uid, gid := d.ids()
	if err := os.Chown(path, uid, gid); err != nil {
		d.t.Fatal(err)
	}
}

// file writes one of its files. DIR stands for its directory.
func (d *daemon) file(name, text string, mode os.FileMode) string {
	d.t.Helper()
	path := filepath.Join(d.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		d.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "DIR", d.dir)), mode); err != nil {
		d.t.Fatal(err)
	}
	d.own(filepath.Dir(path))
	d.own(path)
	return path
}

// run starts a program as its user and waits until it listens at the address, a path or
// host:port.
func (d *daemon) run(listens string, args ...string) {
	d.t.Helper()
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "DIR", d.dir)
	}
	listens = strings.ReplaceAll(listens, "DIR", d.dir)
	log, err := os.Create(filepath.Join(d.dir, filepath.Base(args[0])+".out"))
	if err != nil {
		d.t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, d.dir
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + d.dir, "TMPDIR=" + d.dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if d.user != "" {
		uid, gid := d.ids()
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	d.t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(time.Minute):
		}
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-ended
	})
	network := "tcp"
	if strings.HasPrefix(listens, "/") {
		network = "unix"
	}
	err = harness.Wait(args[0]+" to listen", 60*time.Second, func() bool {
		c, err := net.Dial(network, listens)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	if err != nil {
		text, _ := os.ReadFile(log.Name())
		d.t.Fatalf("%v\n%s", err, text)
	}
}

// home is a running home whose mail passes the filter, and whose mail for elsewhere goes to
// a sink.
type home struct {
	*harness.Home
	t    *testing.T
	sink *harness.Sink
}

func (d *daemon) home(row string) *home {
	d.t.Helper()
	h, err := programs.NewHome(d.t.TempDir()+"/home", "alice", "bob")
	if err != nil {
		d.t.Fatal(err)
	}
	sink, err := harness.NewSink("ok")
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { sink.Close() })
	for name, text := range map[string]string{"filters": strings.ReplaceAll(row, "DIR", d.dir), "resolver": "127.0.0.1:9",
		"routes": ".: " + sink.Addr} {
		if err := h.Set(name, text); err != nil {
			d.t.Fatal(err)
		}
		if err := h.Still(name); err != nil {
			d.t.Fatal(err)
		}
	}
	system, err := h.Start()
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() {
		if err := system.Stop(); err != nil {
			d.t.Error(err)
		}
		if d.t.Failed() {
			d.t.Log(h.Describe())
		}
	})
	return &home{h, d.t, sink}
}

// letter is a message with this subject and body.
func letter(from, subject, body string) []byte {
	return fmt.Appendf(nil, "From: %s\nTo: %s\nSubject: %s\nDate: Sat, 28 Nov 2026 15:00:00 +0000\nMessage-ID: <%s@x.example>\n\n%s\n",
		from, alice, subject, strings.ReplaceAll(subject, " ", "-"), body)
}

// smtp sends a message to the role mx, and returns the error that its refusal is.
func (h *home) smtp(text []byte) error {
	_, err := harness.SendMail(h.Addr["mx"], sender, []string{alice}, text)
	return err
}

// sendmail hands a message to the sendmail face, which accepts it into check/.
func (h *home) sendmail(from, to string, text []byte) {
	h.t.Helper()
	if _, err := programs.Must(h.Dir, strings.NewReader(string(text)), "mailsubmit", "-f", from, to); err != nil {
		h.t.Fatal(err)
	}
}

// mailbox waits for a message of alice, or bob, with that subject.
func (h *home) mailbox(who, subject string) string {
	h.t.Helper()
	text := ""
	err := harness.Wait("the message "+subject, time.Minute, func() bool {
		for _, pattern := range []string{"new/*", "cur/*", ".*/new/*"} {
			files, _ := filepath.Glob(filepath.Join(h.Mailbox(who), pattern))
			for _, name := range files {
				b, _ := os.ReadFile(name)
				if strings.Contains(string(b), "\nSubject: "+subject) {
					text = string(b)
					return true
				}
			}
		}
		return false
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return text
}

// has fails the test unless a text has these parts, in this order.
func has(t *testing.T, text string, parts ...string) {
	t.Helper()
	rest := text
	for _, p := range parts {
		i := strings.Index(rest, p)
		if i < 0 {
			t.Errorf("%q is missing, or not in its place, in\n%s", p, text)
			return
		}
		rest = rest[i+len(p):]
	}
}

// refused fails the test unless the error is this reply.
func refused(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
}

// bounced waits for the report to the submitter of a message that was refused in check/.
func (h *home) bounced(why string) {
	h.t.Helper()
	has(h.t, h.mailbox("bob", "Your message could not be delivered"), why)
}

// submit sends a message by the role submission, with alice's login.
func (h *home) submit(from, to string, text []byte) {
	h.t.Helper()
	c, err := harness.Dial(h.Addr["submission"])
	if err != nil {
		h.t.Fatal(err)
	}
	defer c.Close()
	plain := base64.StdEncoding.EncodeToString([]byte("\x00" + alice + "\x00" + harness.Password))
	for _, step := range [][2]string{{"220", ""}, {"250", "EHLO pc.example"}, {"235", "AUTH PLAIN " + plain}} {
		if _, err := c.Expect(step[0], step[1]); err != nil {
			h.t.Fatal(err)
		}
	}
	if _, err := c.Transfer(from, []string{to}, text); err != nil {
		h.t.Fatal(err)
	}
}

// The examples of contrib/ can be read.
func TestContribFilters(t *testing.T) {
	text, err := os.ReadFile("../../contrib/filters")
	if err != nil {
		t.Fatal(err)
	}
	h, err := programs.NewHome(t.TempDir()+"/home", "alice")
	if err != nil {
		t.Fatal(err)
	}
	for _, old := range []string{"# sign:", "# virus:", "# spamassassin:"} {
		text = []byte(strings.Replace(string(text), old, old[2:], 1))
	}
	if err := h.Set("filters", string(text)); err != nil {
		t.Fatal(err)
	}
	out, err := programs.Must(h.Dir, nil, "mailctl", "check")
	if err != nil {
		t.Fatal(err)
	}
	has(t, out, "spamassassin")
}
