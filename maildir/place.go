package maildir

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"paperpath/internal/dir"
)

// Place says where one user's Maildir is, or will be, below a directory whose path is
// trusted. On the way from there no symbolic link is followed, and every directory must
// belong to that user, or to root, who can do anything anyway: nobody else can divert a
// message or a new directory. Of users who share the mailboxes by a group each may have made it.
type Place struct {
	Base string // an existing directory, or a link to one
	Rel  string // path from Base to the Maildir, "example.net/alice/Maildir"
	UID  int    // the user who owns the Maildir
	GID  int    // the group whose users share all that is below Base; 0: none

	Known *Bases // where the way may be known (Enter); nil: it is looked at
}

// Path returns the path of the Maildir.
func (p Place) Path() string { return filepath.Join(p.Base, p.Rel) }

// Complete reports whether the Maildir exists with all its directories. The error says
// which directory is not acceptable.
func (p Place) Complete() (bool, error) {
	err := p.walk((*dir.Dir).OpenSub)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Create makes the missing directories, each name synced in its directory.
func (p Place) Create() error {
	return p.walk((*dir.Dir).MakeSub)
}

// Trust refuses a directory on the way, or the last one, in which somebody else could
// exchange what is there. That directory need not be a Maildir.
func (p Place) Trust() error {
	d, err := p.descend((*dir.Dir).OpenSub)
	if err == nil {
		d.Close()
	}
	return err
}

// walk goes from the base to each directory of the Maildir.
func (p Place) walk(step step) error {
	d, err := p.descend(step)
	if err != nil {
		return err
	}
	defer d.Close()
	for _, name := range []string{"tmp", "new", "cur"} {
		sub, err := step(d, name)
		if err != nil {
			return err
		}
		err = p.check(sub, false)
		sub.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// step opens a directory in another one.
type step func(d *dir.Dir, name string) (*dir.Dir, error)

// descend goes from the base to the last directory, and returns that.
func (p Place) descend(step step) (d *dir.Dir, err error) {
	if d, err = p.base(); err != nil {
		return nil, err
	}
	return p.below(d, p.names(), false, step)
}

func (p Place) names() []string {
	return strings.FieldsFunc(p.Rel, func(r rune) bool { return r == '/' })
}

// base opens the base.
func (p Place) base() (d *dir.Dir, err error) {
	if p.UID == 0 { // everything of root's below qualifies, so nobody else may exchange it
		if err := p.Known.trust(p.Base); err != nil {
			return nil, err
		}
	}
	if d, err = dir.OpenLinked(p.Base); err != nil {
		return nil, err
	}
	if err = p.check(d, true); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// below goes on to the last of the directories, and closes those before it, d too. more says
// that this is not the Maildir yet.
func (p Place) below(d *dir.Dir, names []string, more bool, step step) (*dir.Dir, error) {
	for i, name := range names {
		next, err := step(d, name)
		d.Close()
		if err != nil {
			return nil, err
		}
		d = next
		if err := p.check(d, more || i < len(names)-1); err != nil {
			d.Close()
			return nil, err
		}
	}
	return d, nil
}

// Way is a directory on the way to a Maildir, held open: who has to look at its files, too,
// walks the way once.
type Way struct {
	place Place
	d     *dir.Dir
	names []string // of what lies between it and the Maildir, and of that
}

// Enter opens the directory at the path rel from the base, which leads to the Maildir. The
// error is fs.ErrNotExist if it is missing.
func (p Place) Enter(rel string) (*Way, error) {
	rest, ok := strings.CutPrefix(p.Rel, strings.TrimSuffix(rel, "/"))
	if !ok {
		return nil, fmt.Errorf("%s is not on the way to %s", rel, p.Path())
	}
	names := (Place{Rel: rest}).names()
	d, err := p.reach((Place{Rel: rel}).names(), len(names) > 0)
	if err != nil {
		return nil, err
	}
	return &Way{place: p, d: d, names: names}, nil
}

// reach opens the directory that the names lead to from the base, by way of what is known.
func (p Place) reach(names []string, more bool) (*dir.Dir, error) {
	last := len(names) - 1
	if p.Known == nil || last < 0 {
		d, err := p.base()
		if err != nil {
			return nil, err
		}
		return p.below(d, names, more, (*dir.Dir).OpenSub)
	}
	h, err := p.Known.hold(p, names[:last])
	if err != nil {
		return nil, err
	}
	defer p.Known.release(h)
	d, err := h.d.OpenSub(names[last])
	if err == nil {
		if err = p.check(d, more); err != nil {
			d.Close()
		}
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}

// Fd returns the descriptor of the directory. Only w closes it.
func (w *Way) Fd() int { return w.d.Fd() }

// Close closes the directory.
func (w *Way) Close() error { return w.d.Close() }

// Open opens the Maildir, with the checks of Complete. The error is fs.ErrNotExist if one of its
// directories is missing.
func (w *Way) Open() (*Dir, error) {
	p, self := w.place, w.d
	for i, name := range w.names {
		next, err := self.OpenSub(name)
		if self != w.d {
			self.Close()
		}
		if err == nil {
			err = p.check(next, i < len(w.names)-1)
		}
		if err != nil {
			if next != nil {
				next.Close()
			}
			return nil, err
		}
		self = next
	}
	d := &Dir{path: p.Path(), self: self}
	if err := d.openParts(p); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// openParts opens new/ and cur/, and looks at tmp/.
func (d *Dir) openParts(p Place) (err error) {
	st, err := d.self.StatName("tmp")
	if err == nil {
		err = p.checkStat(d.self.Join("tmp"), st, false)
	}
	if err == nil && st.Mode&unix.S_IFMT != unix.S_IFDIR {
		err = &fs.PathError{Op: "open", Path: d.self.Join("tmp"), Err: unix.ENOTDIR}
	}
	if err != nil {
		return err
	}
	for _, part := range []struct {
		to   **dir.Dir
		name string
	}{{&d.new, "new"}, {&d.cur, "cur"}} {
		if *part.to, err = d.self.OpenSub(part.name); err != nil {
			return err
		}
		if st, err = (*part.to).Stat(); err == nil {
			err = p.checkStat((*part.to).Path(), st, false)
		}
		if err != nil {
			return err
		}
		if part.name == "new" {
			d.device = st.Dev
		}
	}
	return nil
}

// check refuses a directory in which somebody else could exchange the next one. On the
// way to the Maildir a directory may be root's.
func (p Place) check(d *dir.Dir, onTheWay bool) error {
	st, err := d.Stat()
	if err != nil {
		return err
	}
	return p.checkStat(d.Path(), st, onTheWay)
}

func (p Place) checkStat(path string, st unix.Stat_t, onTheWay bool) error {
	switch {
	case p.GID != 0 && int(st.Gid) == p.GID && dir.Shared(st) && st.Mode&unix.S_IWOTH == 0:
		return nil
	case int(st.Uid) != p.UID && !(onTheWay && st.Uid == 0):
		return fmt.Errorf("%s belongs to uid %d, but the mailbox to uid %d", path, st.Uid, p.UID)
	case st.Mode&unix.S_IWOTH != 0:
		return fmt.Errorf("%s is writable by everyone", path)
	}
	return nil
}
