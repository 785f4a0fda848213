package dir

import (
	"errors"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"
)

// noDir is not a valid descriptor: a call that slips through fails with EBADF.
const noDir = -1

// Sub opens the directory name in d, which must not be a symbolic link. A missing one is
// made, with the mode of d but without access for others: git and object stores do not
// keep empty directories, and what they left out was empty. If it cannot be made, or
// make is false, the result represents an empty directory: it has no names, and adding
// one fails with the reason.
func (d *Dir) Sub(name string, make bool) (*Dir, error) {
	sub, err := d.OpenSub(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return sub, err
	}
	why := err
	if make {
		if why = d.makeSub(name); why == nil || errors.Is(why, fs.ErrExist) {
			return d.OpenSub(name)
		}
	}
	return &Dir{fd: noDir, path: d.Join(name), why: why}, nil
}

// Missing returns why the directory is missing; nil if it is not.
func (d *Dir) Missing() error { return d.why }

// OpenSub opens the directory name in d, which must not be a symbolic link; the
// error is fs.ErrNotExist if it is missing.
func (d *Dir) OpenSub(name string) (*Dir, error) {
	if err := plain(strings.TrimPrefix(name, ".")); err != nil { // a folder of Maildir++ begins with a dot
		return nil, d.fail("open", name, err)
	}
	var fd int
	err := retry(func() (err error) {
		fd, err = unix.Openat(d.fd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return nil, d.fail("open", name, err)
	}
	return &Dir{fd: fd, path: d.Join(name)}, nil
}

// makeSub makes the directory name durably.
func (d *Dir) makeSub(name string) error {
	st, err := d.Stat()
	if err != nil {
		return err
	}
	mode := st.Mode & 0o7770
	if err := unix.Mkdirat(d.fd, name, mode&0o770); err != nil {
		return d.fail("mkdir", name, err)
	}
	made, err := d.OpenSub(name)
	if err != nil {
		return err
	}
	defer made.Close()
	if err := made.likeParent(mode); err != nil {
		return d.fail("chmod", name, err)
	}
	return d.Sync()
}

// likeParent gives a new directory the mode of the one that it is in, whatever the umask. It has
// S_ISGID from there already, and the call that would set it may be forbidden (RestrictSUIDSGID of
// systemd.exec(5)), so there is none where the umask has left the rest, too (home.Home.Open).
func (d *Dir) likeParent(mode uint32) error {
	st, err := d.Stat()
	if err != nil || st.Mode&0o7777 == mode {
		return err
	}
	return unix.Fchmod(d.fd, mode)
}

// MakeSub is OpenSub, but makes a missing directory with mode 0700; in one that is Shared, with
// the mode of that.
func (d *Dir) MakeSub(name string) (*Dir, error) {
	sub, err := d.OpenSub(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return sub, err
	}
	if st, err := d.Stat(); err == nil && Shared(st) {
		if err := d.makeSub(name); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		return d.OpenSub(name)
	}
	err = retry(func() error { return unix.Mkdirat(d.fd, name, 0o700) })
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, d.fail("mkdir", name, err)
	}
	if err := d.Sync(); err != nil {
		return nil, err
	}
	return d.OpenSub(name)
}

// Shared reports whether a directory is for all users of its group: they may write to it, and what
// they make there is of that group (inode(7), S_ISGID).
func Shared(st unix.Stat_t) bool {
	const both = unix.S_ISGID | 0o020
	return st.Mode&both == both
}

// absent returns the error for a name in a missing directory.
func (d *Dir) absent(op, name string) error { return d.fail(op, name, fs.ErrNotExist) }

// between returns the error for moving a name from or to a missing directory.
func (d *Dir) between(to *Dir, op, name string) error {
	switch {
	case d.fd == noDir:
		return d.absent(op, name)
	case to.fd == noDir:
		return to.why
	}
	return nil
}
