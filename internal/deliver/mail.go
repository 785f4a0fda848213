package deliver

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
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
	known    *maildir.Bases // nil: none is
	above    *mailRoot      // nil: it is looked at
	group    int            // whose users share the mailbox; 0: none

	way    *maildir.Way // the home of the user, on the way to the mailbox; nil: it is not open
	opened *maildir.Dir // the mailbox; nil: it is not open
}

// close closes what the work has opened.
func (m *mail) close() {
	if m.way != nil {
		m.way.Close()
	}
	if m.opened != nil {
		m.opened.Close()
	}
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
// forwarded yet. close ends what it begins.
func (m *mail) decide(ctx context.Context) (r result, err error) {
	delimiters, err := m.about.Delimiters()
	if err != nil {
		return r, err
	}
	d, err := m.enter()
	if err != nil {
		return r, err
	}
	if m.way == nil {
		defer d.Close()
	}
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
				err = prepareOther(m.home, m.user, path)
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

// enter opens the home of the user, where the rules are, on the way to the mailbox. Where that
// leads elsewhere, or is not fit for mail, the rules count all the same.
func (m *mail) enter() (*rules.Dir, error) {
	p, err := maildirIn(m.above, m.home, m.user) // before anything of a user's is read
	if err != nil {
		return nil, err
	}
	p.Known, m.group = m.known, p.GID
	if rel, err := filepath.Rel(p.Base, m.user.Home); err == nil {
		if m.way, err = p.Enter(strings.TrimPrefix(rel, ".")); err == nil {
			return rules.At(m.way.Fd(), m.user.Home, p.UID).ShareWith(p.GID), nil
		}
	}
	d, err := rules.Open(m.user.Home, p.UID)
	return d.ShareWith(p.GID), err
}

// own is what the rules of the user need.
func (m *mail) own(delimiters string) *own {
	o := &own{user: m.user, to: m.to, from: m.from, key: m.key, message: m.body, log: m.log, now: m.now,
		programs: m.about.Programs, passed: m.about.Passed, delimiters: delimiters, group: m.group}
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
	if b, err = m.root(); err != nil {
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
	return box{path: folder, others: []string{b.path}}, nil
}

// root opens the mailbox, and creates what is missing of it.
func (m *mail) root() (b box, err error) {
	if m.way != nil && m.opened == nil {
		m.opened, err = m.way.Open()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return b, unusable(m.user, err)
		}
	}
	if m.opened != nil {
		return box{path: m.opened.Path(), dir: m.opened}, nil
	}
	b.path, err = prepare(m.home, m.user)
	return b, err
}

// named is the folder that the caller names, else that of the extension.
func (m *mail) named(b box) (box, error) {
	if m.folder == "" {
		return folderOf(b, m.home, m.user, m.to)
	}
	path, err := namedFolder(b.path, m.home, m.user, m.folder)
	return box{path: path, others: []string{b.path}}, err
}

// namedFolder is a folder in the Maildir root of u, made if it is missing.
func namedFolder(root, home string, u *control.User, name string) (string, error) {
	if addr.Fold(name) == "inbox" {
		return root, nil
	}
	if !isFolder(addr.Fold(name)) {
		return "", noFolder(name)
	}
	path, err := folderIn(root, name)
	if err == nil {
		err = prepareOther(home, u, path)
	}
	return path, err
}

func noFolder(name string) error {
	return status.UsageError("%q is no name of a folder (letters, digits, - and _, dots between them)", name)
}
