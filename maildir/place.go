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
// message or a new directory.
type Place struct {
	Base string // an existing directory, or a link to one
	Rel  string // path from Base to the Maildir, "example.net/alice/Maildir"
	UID  int    // the user who owns the Maildir
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
func (p Place) walk(step func(d *dir.Dir, name string) (*dir.Dir, error)) error {
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

// descend goes from the base to the last directory, and returns that.
func (p Place) descend(step func(d *dir.Dir, name string) (*dir.Dir, error)) (d *dir.Dir, err error) {
	if p.UID == 0 { // everything of root's below qualifies, so nobody else may exchange it
		if err := dir.Trusted(p.Base, 0); err != nil {
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
	names := strings.FieldsFunc(p.Rel, func(r rune) bool { return r == '/' })
	for i, name := range names {
		next, err := step(d, name)
		d.Close()
		if err != nil {
			return nil, err
		}
		d = next
		if err := p.check(d, i < len(names)-1); err != nil {
			d.Close()
			return nil, err
		}
	}
	return d, nil
}

// check refuses a directory in which somebody else could exchange the next one. On the
// way to the Maildir a directory may be root's.
func (p Place) check(d *dir.Dir, onTheWay bool) error {
	st, err := d.Stat()
	switch {
	case err != nil:
		return err
	case int(st.Uid) != p.UID && !(onTheWay && st.Uid == 0):
		return fmt.Errorf("%s belongs to uid %d, but the mailbox to uid %d", d.Path(), st.Uid, p.UID)
	case st.Mode&unix.S_IWOTH != 0:
		return fmt.Errorf("%s is writable by everyone", d.Path())
	}
	return nil
}
