package harness

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The hosts, users and the password of every test home.
const (
	Hostname = "mx.example.net"
	Domain   = "example.net"
	Password = "correct horse"
)

// Home is an initialised home and the addresses that its services listen on.
type Home struct {
	Dir      string
	Programs Programs
	Addr     map[string]string // "mx", "submission", "submissions", "lmtp", "pop3", "pop3s": host:port
}

// NewHome makes a home in dir by mailctl, with Hostname, Domain and the users
// named, all with Password, and services on free ports of 127.0.0.1.
func (p Programs) NewHome(dir string, users ...string) (*Home, error) {
	h := &Home{Dir: dir, Programs: p, Addr: map[string]string{}}
	if _, err := p.Must(dir, nil, "mailctl", "init", dir, "--owner", Self(), "--hostname", Hostname, "--domain", Domain); err != nil {
		return nil, err
	}
	for _, u := range users {
		if err := h.AddUser(u); err != nil {
			return nil, err
		}
	}
	if err := h.Still("users"); err != nil {
		return nil, err
	}
	return h, h.freePorts()
}

// Still makes a control file look as if it had not been edited lately: a row missing
// from a table that has just changed is a temporary error.
func (h *Home) Still(name string) error {
	then := time.Now().Add(-time.Minute)
	return os.Chtimes(filepath.Join(h.Dir, "control", name), then, then)
}

// Self is the --owner of a home that the tests themselves work in: the user who runs
// them, even root, which control/root allows there.
func Self() string { return strconv.Itoa(os.Geteuid()) }

// AddUser adds user@Domain with Password.
func (h *Home) AddUser(user string) error {
	_, err := h.Programs.Must(h.Dir, strings.NewReader(Password+"\n"), "mailctl", "user", "add", user+"@"+Domain, "--password-stdin")
	return err
}

// Set writes the control file name, one line a row.
func (h *Home) Set(name string, rows ...string) error {
	text := strings.Join(rows, "\n") + "\n"
	return os.WriteFile(filepath.Join(h.Dir, "control", name), []byte(text), 0o644)
}

var loopback = regexp.MustCompile(`127\.0\.0\.1:\d+`)

// freePorts gives each listener in control/services, as mailctl init wrote it,
// a free port and notes it in Addr.
func (h *Home) freePorts() error {
	path := filepath.Join(h.Dir, "control", "services")
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text = loopback.ReplaceAllFunc(text, func([]byte) []byte { return []byte(FreeAddr()) })
	for line := range bytes.Lines(text) {
		h.note(strings.Fields(string(line)))
	}
	return os.WriteFile(path, text, 0o644)
}

// AddLMTP adds the role lmtp on a free port to control/services.
func (h *Home) AddLMTP() error {
	h.Addr["lmtp"] = FreeAddr()
	path := filepath.Join(h.Dir, "control", "services")
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text = fmt.Appendf(text, "mailsubmit smtp --role lmtp --listen %s\n", h.Addr["lmtp"])
	return os.WriteFile(path, text, 0o644)
}

// note enters the addresses of one line of control/services into Addr.
func (h *Home) note(words []string) {
	if len(words) == 0 || strings.HasPrefix(words[0], "#") {
		return
	}
	name := "pop3"
	for i, w := range words {
		if w == "mx" || w == "submission" {
			name = w
		}
		if i+1 == len(words) || !loopback.MatchString(words[i+1]) {
			continue
		}
		switch w {
		case "--listen":
			h.Addr[name] = words[i+1]
		case "--listen-tls":
			h.Addr[name+"s"] = words[i+1]
		}
	}
}

// FreeAddr returns an address of 127.0.0.1 with a port that is free now, and that no test
// of this machine gets as long as this process lives. It is taken below the ports that the
// kernel gives to clients.
func FreeAddr() string {
	for {
		port := 10000 + rand.IntN(20000)
		if !reserve(port) {
			continue
		}
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		if l, err := net.Listen("tcp", addr); err == nil {
			l.Close()
			return addr
		}
	}
}

// reserve takes the port for this process: a name in the abstract name space of Unix
// sockets is taken by one process at a time, and is free again when the process ends.
func reserve(port int) bool {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: "@paperpath-test-port-" + strconv.Itoa(port)}); err != nil {
		unix.Close(fd)
		return false
	}
	return true // fd stays open
}

// Port returns the port of an address.
func Port(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}

// Mailbox returns the Maildir of user@Domain.
func (h *Home) Mailbox(user string) string {
	return filepath.Join(h.Dir, "mail", Domain, user, "Maildir")
}

// Glob returns the files of the home that match pattern.
func (h *Home) Glob(pattern string) []string {
	names, _ := filepath.Glob(filepath.Join(h.Dir, pattern))
	return names
}

// Queued returns the entries that wait in the check, route, deliver and relay
// inboxes.
func (h *Home) Queued() []string {
	var all []string
	for _, inbox := range []string{"check", "route", "deliver", "relay"} {
		all = append(all, h.Glob("spool/"+inbox+"/new/*")...)
		all = append(all, h.Glob("spool/"+inbox+"/cur/*")...)
	}
	return all
}

// Events returns the lines of log/mail.log that hold every one of the words.
func (h *Home) Events(words ...string) []string {
	text, _ := os.ReadFile(filepath.Join(h.Dir, "log", "mail.log"))
	var found []string
lines:
	for _, line := range strings.Split(string(text), "\n") {
		for _, w := range words {
			if !strings.Contains(line, w) {
				continue lines
			}
		}
		if line != "" {
			found = append(found, line)
		}
	}
	return found
}

// Describe returns what is in the spool and the last events, for the text of a failure.
func (h *Home) Describe() string {
	events := h.Events()
	if len(events) > 40 {
		events = events[len(events)-40:]
	}
	files := h.Glob("spool/*/*/*") // tmp/, new/, cur/ and reason/
	more := ""
	if len(files) > 30 {
		files, more = files[:30], fmt.Sprintf("\nand %d more", len(files)-30)
	}
	return fmt.Sprintf("spool:\n%s%s\nlast events:\n%s", strings.Join(files, "\n"), more, strings.Join(events, "\n"))
}

// NothingAt reports whether nothing accepts connections at an address.
func NothingAt(addr string) bool {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err == nil {
		c.Close()
	}
	return err != nil
}
