package mailctl

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/dir"
	"paperpath/internal/spool"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// Smarthost is the host through which a null client sends all its mail, and how it logs
// in there.
type Smarthost struct {
	To        string // HOST[:PORT], or targets of control/routes
	User      string
	Address   string // of the account; "": User is one
	Mechanism string // "": the best that the host offers
	Command   string // prints the password; "": Password asks for it
	Password  func() (string, error)

	route *control.Route
	login string // the file in control/relay-logins
}

// nullServices is control/services of a null client: no listener but run/submit.
const nullServices = `# The commands that mailctl start runs, one a line.
mailsubmit smtp --role local --listen unix:run/submit
mailcheck watch
mailroute watch
maildeliver watch
mailrelay watch
`

// prepare checks what was asked for and asks for the password, before anything is made.
func (s *Smarthost) prepare(home string) error {
	if err := s.fits(home); err != nil {
		return err
	}
	if s.To == "" {
		return status.UsageError("--user, --address, --mechanism and --password-command are for --smarthost HOST")
	}
	if err := s.setAddress(); err != nil {
		return err
	}
	if err := s.setRoute(); err != nil {
		return err
	}
	secret, err := s.secretRow()
	if err != nil {
		return err
	}
	s.login = "user: " + s.User + "\n" + secret
	if s.Mechanism != "" {
		s.login += "mechanism: " + s.Mechanism + "\n"
	}
	l, err := control.ParseRelayLogin(s.login)
	if err != nil {
		return status.UsageError("%v", err)
	}
	if l.User != s.User || s.Command == "" && "password: "+string(l.Password)+"\n" != secret {
		return status.UsageError("a row of a file cannot hold this name or password: " +
			"blanks around it would be lost (--password-command can print it)")
	}
	return nil
}

// setAddress finds the address of the account.
func (s *Smarthost) setAddress() error {
	if s.Address == "" {
		s.Address = s.User
	}
	switch err := addr.CheckAddress(s.Address); {
	case s.User == "":
		return status.UsageError("--smarthost without --user (the login name at the host)")
	case err != nil && s.Address == s.User:
		return status.UsageError("%q is not an address (name the account's with --address)", s.User)
	case err != nil:
		return status.UsageError("--address: %q %v", s.Address, err)
	}
	return nil
}

// setRoute makes the targets. Without a port the one with TLS from the start comes first
// (RFC 8314 3.3), then that of submission, which is the only one at some providers.
func (s *Smarthost) setRoute() error {
	to := s.To
	if !strings.ContainsAny(to, " \t") && !strings.HasPrefix(to, "tls:") {
		host, port, err := net.SplitHostPort(to)
		switch {
		case err != nil:
			to = "tls:" + to + " " + to + ":587"
		case port == "465":
			to = "tls:" + net.JoinHostPort(host, port)
		}
	}
	r, err := control.ParseRoute("--smarthost", to)
	if err != nil {
		return status.UsageError("--smarthost: %v", err)
	}
	for _, t := range r.Targets {
		if t.Kind != control.ToHost && t.Kind != control.ToTLS || t.Host != r.Targets[0].Host {
			return status.UsageError("--smarthost: %q is not HOST or HOST:PORT", s.To)
		}
	}
	s.route = r
	return nil
}

// secretRow is the row of the password: itself, or the command that prints it.
func (s *Smarthost) secretRow() (string, error) {
	if s.Command == "" {
		text, err := s.Password()
		if err == nil && text == "" {
			err = status.UsageError("the password is empty")
		}
		return "password: " + text + "\n", err
	}
	words := strings.Fields(s.Command)
	switch {
	case len(words) == 0:
		return "", status.UsageError("--password-command is empty")
	case strings.ContainsAny(s.Command, "|<>;\"'`$"):
		return "", status.UsageError("--password-command: no shell reads it (write a script for that)")
	}
	path, err := exec.LookPath(words[0])
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return "", status.UsageError("--password-command: %v", err)
	}
	words[0] = path
	return "command: " + strings.Join(words, " ") + "\n", nil
}

// files are the control files of a null client, beside hostname, domains and users.
func (s *Smarthost) files() []controlFile {
	var targets []string
	for _, t := range s.route.Targets {
		targets = append(targets, t.String())
	}
	return []controlFile{
		{"services", nullServices},
		{"routes", ".: " + strings.Join(targets, " ") + "\n"},
		{filepath.Join("relay-logins", s.route.Targets[0].Host), s.login},
		{"masquerade", s.Address + "\n"},
		{"postmaster", s.Address + "\n"},
	}
}

// fits refuses the home of a server: what a null client has would take its mail away.
func (s *Smarthost) fits(home string) error {
	if !exists(filepath.Join(home, spool.Mark)) {
		return nil
	}
	users, err := os.ReadFile(filepath.Join(home, "control", "users"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && len(strings.TrimSpace(string(users))) > 0 {
		err = refused("%s has users, so it is no null client (see routes and relay-logins in control(5))", home)
	}
	return err
}

// logins makes the directory of the logins.
func (i Init) logins() error {
	return dir.Make(filepath.Join(i.Dir, "control", "relay-logins"), 0o700)
}

// tell says what a null client does now, and what to do next.
func (s *Smarthost) tell(i Init) error {
	var through []string
	for _, t := range s.route.Targets {
		through = append(through, t.String())
	}
	_, err := fmt.Fprintf(i.Notes, `%[1]s is ready: all mail goes to %[2]s as %[3]s,
from %[4]s, and mail for root and other users here goes to that address too.
Run it:       mailctl --home %[1]s start
or by cron:   * * * * * mailcheck --home %[1]s run && mailroute --home %[1]s run && mailrelay --home %[1]s run
Try it:       echo hello | sendmail --home %[1]s -v %[4]s
What happens: %[1]s/log/mail.log, and mailctl --home %[1]s queue
Programs that call /usr/sbin/sendmail find it by a symbolic link there, and the home by PAPERPATH_HOME.
`, i.Dir, strings.Join(through, ", then "), visible.Escape(s.User), visible.Escape(s.Address))
	return err
}
