package deliver

import (
	"context"
	"io"
	"os"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/maillog"
	"paperpath/internal/rules"
	"paperpath/internal/spool"
	"paperpath/internal/status"
	"paperpath/maildir"
)

// mail is one message for one user, and what the work on it needs. The work is done where the
// mailbox can be opened: in this process, or in one of the mailbox's owner.
type mail struct {
	home     string // of Paperpath
	user     *control.User
	to, from addr.Address
	key      string
	size     int64            // octets that the mailbox gets
	ours     bool             // the mail system has written it
	folder   string           // that the caller of the MDA names
	body     text             // what programs and files get
	message  func() io.Reader // the message as it came
	now      func() time.Time
	log      mailLog
	about    questions
}

// mailLog writes the events of the work.
type mailLog interface {
	ranLog
	Delivered(key, to, mailbox, how string)
	Trouble(key, op string, err error)
}

var _ mailLog = (*maillog.Log)(nil)

// questions are what the work asks of the settings, and of what only the spool knows.
type questions interface {
	Delimiters() (string, error)
	Hostname() (string, error)
	JunkFolder() (string, error)                               // "" for none
	Programs() (bool, error)                                   // whether the user may run programs
	Passed() (bool, error)                                     // whether the user's rules had the message before
	Junk() (bool, error)                                       // whether a check found it to be junk
	Wish() (control.Wish, error)                               // of the user; the error refuses the message
	MayAnswer() (bool, error)                                  // whether its sender may get an answer that nobody writes
	Spend() (bool, error)                                      // whether there is room for one more of those in this hour
	MayForward() error                                         // whether there is a spool for that
	Room(used maildir.Usage, fits bool) (warn bool, err error) // what follows from how full the mailbox is
}

// result is what the work has decided.
type result struct {
	plan   plan
	box    box
	rules  *rules.Rules
	answer []spool.Notice
	warn   bool // the user is to hear that the mailbox is nearly full
}

// decide follows the rules of the user: programs run, files grow. Nothing is stored or
// forwarded yet.
func (m *mail) decide(ctx context.Context) (r result, err error) {
	if _, err := maildirOf(m.home, m.user); err != nil { // before anything of a user's is read
		return r, err
	}
	delimiters, err := m.about.Delimiters()
	if err != nil {
		return r, err
	}
	d, err := rules.Open(m.user.Home, os.Geteuid())
	if err != nil {
		return r, err
	}
	defer d.Close()
	if r.rules, err = d.Find(extension(m.user, m.to)); err != nil {
		return r, err
	}
	rest := m.own(delimiters)
	rest.ready = func(p plan) (err error) {
		r.box, r.warn, err = m.room(p)
		if len(p.forwards) > 0 && err == nil {
			err = m.about.MayForward()
		}
		for _, path := range p.copies {
			if err == nil {
				err = prepareOther(m.user, path)
			}
		}
		return err
	}
	if r.plan, err = rest.plan(ctx, r.rules); err != nil {
		return r, err
	}
	switch {
	case !r.plan.store: // a program may have said so, after there was room
		r.box = box{}
	case r.box.path == "":
		if r.box, r.warn, err = m.room(r.plan); err != nil {
			return r, err
		}
	}
	if r.rules == nil || !r.rules.List && !r.rules.ForwardOnly { // who writes to a list does not write to its user
		r.answer = m.vacation(d, delimiters)
	}
	return r, nil
}

// own is what the rules of the user need.
func (m *mail) own(delimiters string) *own {
	o := &own{user: m.user, to: m.to, from: m.from, key: m.key, message: m.body, log: m.log, now: m.now,
		programs: m.about.Programs, passed: m.about.Passed, delimiters: delimiters}
	if b, ok := m.log.(interface{ Begin() }); ok {
		o.begin = b.Begin
	}
	return o
}

// room returns where in the mailbox the message goes, if p stores it there, and sees to it that
// it has room, once for each Maildir of the mailbox that gets it.
func (m *mail) room(p plan) (b box, warn bool, err error) {
	if p.store {
		b, err = m.box()
	}
	n := p.counted(m.user)
	if err != nil || n == 0 || m.ours { // what the mail system has to say always fits
		return b, false, err
	}
	warn, err = measure(m.user, m.size, n, m.about.Room)
	return b, warn, err
}

// box returns where in the mailbox the message goes: into the folder for junk if a check found
// it to be junk, or the user denies its sender, and there is such a folder; else into the
// folder that the caller or the address names. Folders come and go, so an attempt before may
// have chosen another one.
func (m *mail) box() (b box, err error) {
	if b.path, err = prepare(m.home, m.user); err != nil {
		return b, err
	}
	junk, err := m.about.Junk()
	if err != nil {
		return b, err
	}
	wish, err := m.about.Wish()
	if err != nil {
		return b, err
	}
	folder, err := junkOr(m.home, m.user, m.about.JunkFolder, wish, junk)
	if folder == "" && err == nil && (wish == control.Allow || !junk) {
		return m.named(b)
	}
	if folder == "" || err != nil {
		return b, err
	}
	b.path, b.others = folder, []string{b.path}
	return b, nil
}

// named is the folder that the caller names, else that of the extension.
func (m *mail) named(b box) (box, error) {
	if m.folder == "" {
		return folderOf(b, m.user, m.to)
	}
	path, err := namedFolder(b.path, m.user, m.folder)
	return box{path: path, others: []string{b.path}}, err
}

// namedFolder is a folder in the Maildir root of u, made if it is missing.
func namedFolder(root string, u *control.User, name string) (string, error) {
	if addr.Fold(name) == "inbox" {
		return root, nil
	}
	if !isFolder(addr.Fold(name)) {
		return "", noFolder(name)
	}
	path, err := folderIn(root, name)
	if err == nil {
		err = prepareOther(u, path)
	}
	return path, err
}

func noFolder(name string) error {
	return status.UsageError("%q is no name of a folder (letters, digits, - and _, dots between them)", name)
}
