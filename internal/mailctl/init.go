// Package mailctl does the work of mailctl: it makes a home and its users, runs its
// services and shows its queue.
package mailctl

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/clock"
	"paperpath/internal/control"
	"paperpath/internal/dir"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// Init describes a home to make.
type Init struct {
	Dir      string
	Hostname string   // "": the machine's
	Domains  []string // none: the hostname
	Now      time.Time
	Notes    io.Writer // what a person should know

	Smarthost *Smarthost // where a null client sends all mail; nil: this is none

	Owner      string // a user's name or number; "": see chooseOwner
	CreateUser bool   // the system user is the owner, and each program has its own; they are made if there are none

	generate func(algorithm string) ([]byte, error) // of DKIM keys; nil: dkim.Generate
	public   bool                                   // root makes it: other users of the machine may pass through
	fresh    bool                                   // there was none before
}

// firstServices is control/services of a new home: every program, on loopback ports
// that need no privileges.
const firstServices = `# The commands that mailctl start runs, one a line.
mailsubmit smtp --role mx --listen 127.0.0.1:2525
mailsubmit smtp --role submission --listen 127.0.0.1:2587 --listen-tls 127.0.0.1:2465
mailsubmit smtp --role local --listen unix:run/submit
mailcheck watch
mailroute watch
maildeliver watch
mailrelay watch
pop3d --listen 127.0.0.1:2110 --listen-tls 127.0.0.1:2995
`

// Run makes the home, or what is missing in it. What is already there stays as it is.
// Run refuses a directory that holds anything else.
func (i Init) Run() error {
	path, err := filepath.Abs(i.Dir)
	if err != nil {
		return err
	}
	i.Dir = path
	if err := i.names(); err != nil {
		return err
	}
	if err := i.takeOver(); err != nil {
		return err
	}
	if i.Smarthost != nil {
		if err := i.Smarthost.prepare(i.Dir); err != nil {
			return err
		}
	}
	i.public = os.Geteuid() == 0
	i.fresh = !exists(filepath.Join(i.Dir, spool.Mark))
	o, err := i.chooseOwner()
	if err != nil {
		return err
	}
	for _, step := range i.steps(o) {
		if err := step(); err != nil {
			return fmt.Errorf("make the home %s: %w", i.Dir, err)
		}
	}
	if i.CreateUser {
		fmt.Fprint(i.Notes, "a program becomes its own user if root starts it; units of systemd need those of contrib/systemd-users, too\n")
	}
	if i.public {
		fmt.Fprintf(i.Notes, "%s belongs to %s, %s\n", i.Dir, o, o.why)
	}
	if err := tellFindings(i.Notes, examine(i.Dir, control.Open(i.Dir, time.Now), i.Now)); err != nil {
		return err
	}
	if i.Smarthost != nil {
		return i.Smarthost.tell(i)
	}
	return i.next()
}

// steps are what makes the home of an owner, in turn.
func (i Init) steps(o owner) []func() error {
	steps := []func() error{func() error { return i.giveTo(o) }, i.directories}
	if !o.apart() {
		steps = append(steps, i.mend)
	} else {
		steps = append(steps, func() error { return i.relayParts(o) }, func() error { return i.logs(o) },
			func() error { return i.share(o, "control") }) // mailrelay's user passes to its parts
	}
	if i.Smarthost != nil { // nobody connects to a null client, and nothing is from its own domain
		steps = append(steps, i.logins)
	}
	steps = append(steps, func() error { return i.settings(o) })
	if i.Smarthost == nil {
		steps = append(steps, i.forwarding, i.certificate, func() error { return i.share(o, "control") }, // so that all read them
			func() error { return i.asRelay(o, i.signingKeys) })
	}
	steps = append(steps, i.marks, func() error { return i.share(o, "") }, func() error { return i.settle(o) })
	if o.uid == 0 {
		steps = append(steps, i.allowRoot)
	}
	return steps
}

// next prints what there is to do for a new home.
func (i Init) next() error {
	c := control.Open(i.Dir, time.Now)
	host, err := c.Hostname()
	if err != nil {
		return nil // the findings have said why
	}
	domains, err := c.Domains()
	if err != nil {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%[1]s is ready. Next:\n"+
		"- the first user, who gets the mail for root and postmaster too: mailctl --home %[1]s user add ADDRESS\n", i.Dir)
	for _, d := range domains {
		if d[0] != '[' && strings.Contains(d, ".") {
			fmt.Fprintf(&b, "- in the DNS, beside the address of %[2]s and the name of that address:\n"+
				"    %[1]s. IN MX 10 %[2]s.\n    %[1]s. IN TXT \"v=spf1 mx -all\"\n    _dmarc.%[1]s. IN TXT \"v=DMARC1; p=none\"\n"+
				"    and what mailctl --home %[3]s dkim show %[1]s prints\n", d, addr.FoldDomain(host), i.Dir)
		}
	}
	if os.Geteuid() == 0 && len(domains) > 0 {
		fmt.Fprintf(&b, "- the accounts of this machine get mail, cron's too, in ~/Maildir by a maildeliver that root starts: "+
			"echo %s >>%s/control/accounts\n", domains[0], i.Dir)
	}
	fmt.Fprintf(&b, "- ports for other hosts and users: control/services listens on this machine alone (write :25, :587, "+
		":465, :110, :995 there; below 1024 mailctl start needs root, or take the units of contrib/systemd)\n"+
		"- a certificate that others trust, in control/tls/%s: control(5)\n"+
		"- then: mailctl --home %s start\n", addr.FoldDomain(host), i.Dir)
	_, err = io.WriteString(i.Notes, b.String())
	return err
}

// names fills in and checks hostname and domains.
func (i *Init) names() error {
	if i.Hostname == "" {
		name, err := os.Hostname()
		if err != nil {
			return status.UsageError("this machine has no hostname (give one with --hostname)")
		}
		i.Hostname = name
	}
	if err := addr.CheckDomain(i.Hostname); err != nil || i.Hostname[0] == '[' {
		return status.UsageError("hostname %q is not a host name (give one with --hostname)", i.Hostname)
	}
	if len(i.Domains) == 0 {
		i.Domains = []string{i.Hostname}
	}
	var folded []string
	for _, d := range i.Domains {
		if err := addr.CheckDomain(d); err != nil {
			return status.UsageError("domain %q %v", d, err)
		}
		if d = addr.FoldDomain(d); !slices.Contains(folded, d) {
			folded = append(folded, d)
		}
	}
	i.Domains = folded
	return nil
}

// takeOver refuses a directory that is neither a home nor empty, and a home whose
// volumes are not mounted.
func (i Init) takeOver() error {
	entries, err := os.ReadDir(i.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	whole := exists(filepath.Join(i.Dir, spool.Mark))
	for _, e := range entries {
		name := e.Name()
		if !slices.Contains([]string{"control", "spool", "mail", "log", "run", spool.Mark, "lost+found"},
			name) {
			if whole {
				continue // a home may hold a person's own files
			}
			return notOurs(i.Dir, name)
		}
	}
	for _, part := range []string{"spool", "mail"} {
		if whole {
			if err := spool.CheckMark(filepath.Join(i.Dir, part)); err != nil {
				return err
			}
		} else if name := foreignName(filepath.Join(i.Dir, part)); name != "" {
			return notOurs(i.Dir, filepath.Join(part, name))
		}
	}
	return nil
}

// foreignName returns a name in an unmarked part of the home that mailctl init
// would not have made, "" if there is none.
func foreignName(part string) string {
	if exists(filepath.Join(part, spool.Mark)) {
		return ""
	}
	entries, _ := os.ReadDir(part)
	for _, e := range entries {
		inbox := filepath.Base(part) == "spool" && slices.Contains(spool.Inboxes(), spool.Inbox(e.Name()))
		if !inbox && e.Name() != "lost+found" {
			return e.Name()
		}
	}
	return ""
}

func notOurs(dir, name string) error {
	return &status.Error{Exit: status.Refused,
		Text: fmt.Sprintf("%s is not empty and not a Paperpath home: %s is not ours (name a new directory)",
			dir, name)}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// homeParts are the directories of a home, itself first.
func homeParts() []string { return []string{"", "control", "spool", "mail", "log", "run"} }

func (i Init) directories() error {
	for _, sub := range homeParts() {
		if sub == "spool" {
			continue // spool.Init makes it
		}
		path := filepath.Join(i.Dir, sub)
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			continue // or a symbolic link to one, which control may be
		}
		if err := dir.Make(path, mode(sub, i.public)); err != nil {
			return err
		}
	}
	return nil
}

// mode is the mode of a directory of the home. A home made by root serves a machine
// with several users: they may pass through to run/submit, but not list what else is
// there. A user's own home is theirs alone until they decide otherwise.
func mode(sub string, public bool) fs.FileMode {
	if public && (sub == "" || sub == "run") {
		return 0o711
	}
	return 0o700
}

// controlFile is a file in control/ of a new home.
type controlFile struct{ name, text string }

// files are the control files of a home.
func (i Init) files() []controlFile {
	list := []controlFile{
		{"hostname", addr.Fold(i.Hostname) + "\n"},
		{"domains", strings.Join(i.Domains, "\n") + "\n"},
		{"users", ""},
	}
	if i.Smarthost != nil {
		return append(list, i.Smarthost.files()...)
	}
	return append(list, controlFile{"services", firstServices})
}

// settings writes the control files that are missing.
func (i Init) settings(o owner) error {
	for _, file := range i.files() {
		write := func() error { return i.setting(file) }
		if filepath.Dir(file.name) == "relay-logins" {
			write = func() error { return i.asRelay(o, func() error { return i.setting(file) }) }
		}
		if err := write(); err != nil {
			return err
		}
	}
	return nil
}

// setting writes a control file if it is missing.
func (i Init) setting(file controlFile) error {
	path := filepath.Join(i.Dir, "control", file.name)
	old, err := readRegular(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return control.Write(path, []byte(file.text), 0o600)
	case err == nil && string(old) != file.text && file.name != "users" && file.name != "services":
		fmt.Fprintf(i.Notes, "control/%s exists already and is left unchanged\n", file.name)
	}
	return err
}

// forwarding makes a secret, so that the SPF of other hosts does not refuse what a new home
// forwards. A home that works already may be without one for a reason.
func (i Init) forwarding() error {
	path := filepath.Join(i.Dir, "control", "srs-secrets")
	if exists(path) || exists(filepath.Join(i.Dir, spool.Mark)) {
		return nil
	}
	return control.Write(path, []byte(rand.Text()+"\n"), 0o600)
}

// readRegular reads a regular file and refuses anything else: reading a fifo might
// never end.
func readRegular(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	if err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

// marks makes the spool and writes the marks, that of the whole home last.
func (i Init) marks() error {
	if err := spool.Init(i.Dir); err != nil {
		return err
	}
	if err := spool.WriteMark(control.MailRoot(i.Dir)); err != nil {
		return err
	}
	if !exists(filepath.Join(i.Dir, spool.Mark)) { // a new home: its first pass is compared with this time
		if err := clock.Begin(i.Dir, i.Now); err != nil {
			return err
		}
	}
	return spool.WriteMark(i.Dir)
}
