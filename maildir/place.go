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

// Place is where one user's Maildir is, or will be, below a directory whose path
// is trusted. On the way from there no symbolic link is followed, and every
// directory is that user's, or root's who can do all anyway: so nobody else
// sends a message, or a new directory, to another place.
type Place struct {
	Base string // a directory that is there; it may be a link to one
	Rel  string // the way from Base to the Maildir, "example.net/alice/Maildir"
	UID  int    // whose the Maildir is
}

// Path returns the path of the Maildir.
func (p Place) Path() string { return filepath.Join(p.Base, p.Rel) }

// Complete reports whether the Maildir is there with all its directories. The
// error says what there may not be.
func (p Place) Complete() (bool, error) {
	err := p.walk((*dir.Dir).OpenSub)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Create makes what Complete misses, each name synced in its directory.
func (p Place) Create() error {
	return p.walk((*dir.Dir).MakeSub)
}

// walk goes from the base to each directory of the Maildir.
func (p Place) walk(step func(d *dir.Dir, name string) (*dir.Dir, error)) error {
	if p.UID == 0 { // in the place of what another user can exchange there may be anything of root's
		if err := dir.Trusted(p.Base, 0); err != nil {
			return err
		}
	}
	base, err := filepath.EvalSymlinks(p.Base)
	if err != nil {
		return err
	}
	d, err := dir.Open(base)
	if err != nil {
		return err
	}
	defer func() { d.Close() }()
	if err := p.check(d, true); err != nil {
		return err
	}
	names := strings.Split(p.Rel, "/")
	for i, name := range names {
		next, err := step(d, name)
		if err != nil {
			return err
		}
		d.Close()
		d = next
		if err := p.check(d, i < len(names)-1); err != nil {
			return err
		}
	}
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

// check refuses a directory in which somebody else could put another one in the
// place of the next. On the way it may be root's.
func (p Place) check(d *dir.Dir, onTheWay bool) error {
	st, err := d.Stat()
	switch {
	case err != nil:
		return err
	case int(st.Uid) != p.UID && !(onTheWay && st.Uid == 0):
		return fmt.Errorf("%s belongs to uid %d, and the mailbox to uid %d", d.Path(), st.Uid, p.UID)
	case st.Mode&unix.S_IWOTH != 0:
		return fmt.Errorf("%s can be written by everybody", d.Path())
	}
	return nil
}
