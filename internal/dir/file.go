package dir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Create makes the new file name for reading and writing. If the name exists, the error
// is fs.ErrExist. The umask does not change the mode.
func (d *Dir) Create(name string, mode uint32) (*File, error) {
	fd, err := d.openFd(name, newFile, mode)
	if err != nil {
		return nil, err
	}
	f := &File{path: d.Join(name), fd: fd}
	if err := d.setMode(f, mode); err != nil {
		f.Close()
		d.Remove(name)
		return nil, err
	}
	return f, nil
}

// newFile is how a file is opened that must not exist.
const newFile = unix.O_RDWR | unix.O_CREAT | unix.O_EXCL

// setMode gives a new file its mode, unless the umask is known to leave that alone: then the one
// before it had it at once.
func (d *Dir) setMode(f *File, mode uint32) error {
	const known = 1 << 31
	if d.mode.Load() == mode|known {
		return nil
	}
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if st.Mode&0o7777 == mode {
		d.mode.Store(mode | known)
		return nil
	}
	return f.use("chmod", func(fd int) error { return unix.Fchmod(fd, mode) })
}

// Unnamed makes a file without a name, which is removed when it is closed.
func (d *Dir) Unnamed(name string) (*os.File, error) {
	if d.fd == noDir {
		return nil, d.why
	}
	var fd int
	err := retry(func() (err error) {
		fd, err = unix.Openat(d.fd, ".", unix.O_RDWR|unix.O_TMPFILE|unix.O_CLOEXEC, 0o600)
		return err
	})
	if err == nil {
		return os.NewFile(uintptr(fd), d.Join("(unnamed)")), nil
	}
	// The file system has no O_TMPFILE: give the file a name for an instant.
	if fd, err = d.openFd(name, newFile, 0o600); err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), d.Join(name))
	if err := d.Remove(name); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// ErrNotRegular says that a name is not a regular file but a directory, a symbolic
// link, a fifo, a socket or a device.
var ErrNotRegular = errors.New("not a regular file")

// OpenFile opens name, which must be a regular file or, with O_CREAT, may be missing.
// It looks before it opens: opening a device may have effects, and reading one may
// never end. If something else replaces the file in between, it is not followed, does
// not block, and is ErrNotRegular, too.
func (d *Dir) OpenFile(name string, flags int, mode uint32) (*os.File, error) {
	seen, err := d.StatName(name)
	switch {
	case err == nil:
		if err := regular(seen); err != nil {
			return nil, d.fail("open", name, err)
		}
	case flags&unix.O_CREAT == 0 || !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	fd, _, err := d.openSeen(name, flags, mode)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), d.Join(name)), nil
}

// OpenRegular is OpenFile for a file that exists. It returns the status of what it has opened, too.
func (d *Dir) OpenRegular(name string, flags int) (*File, unix.Stat_t, error) {
	st, err := d.StatName(name)
	if err != nil {
		return nil, st, err
	}
	if err := regular(st); err != nil {
		return nil, st, d.fail("open", name, err)
	}
	return d.OpenSeen(name, flags)
}

// OpenSeen is OpenRegular for a name that the caller has just looked at and found to be that
// of a regular file.
func (d *Dir) OpenSeen(name string, flags int) (*File, unix.Stat_t, error) {
	fd, st, err := d.openSeen(name, flags, 0)
	if err != nil {
		return nil, st, err
	}
	return &File{path: d.Join(name), fd: fd}, st, nil
}

// openSeen opens what may have become anything. With O_NONBLOCK that does not block.
func (d *Dir) openSeen(name string, flags int, mode uint32) (fd int, st unix.Stat_t, err error) {
	if fd, err = d.openFd(name, flags|unix.O_NONBLOCK|unix.O_NOCTTY, mode); err != nil {
		return -1, st, err
	}
	if err = retry(func() error { return unix.Fstat(fd, &st) }); err == nil {
		err = regular(st)
	}
	if err != nil {
		unix.Close(fd)
		return -1, st, d.fail("open", name, err)
	}
	return fd, st, nil
}

func (d *Dir) openFd(name string, flags int, mode uint32) (int, error) {
	if err := plain(name); err != nil {
		return -1, d.fail("open", name, err)
	}
	var fd int
	err := retry(func() (err error) {
		fd, err = unix.Openat(d.fd, name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, mode)
		return err
	})
	if err != nil {
		return -1, d.failOpen(name, err)
	}
	return fd, nil
}

func (d *Dir) failOpen(name string, err error) error {
	if errors.Is(err, unix.ELOOP) {
		err = ErrNotRegular
	}
	return d.fail("open", name, err)
}

// OpenPath is OpenFile for a path, whose directory must not be a symbolic link.
func OpenPath(path string, flags int, mode uint32) (*os.File, error) {
	d, err := Open(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.OpenFile(filepath.Base(path), flags, mode)
}

// regular returns an error that says what a file is if it is not regular.
func regular(st unix.Stat_t) error {
	kind := Kind(st)
	if kind == "" {
		return nil
	}
	return fmt.Errorf("%w but %s", ErrNotRegular, kind)
}

// Kind says what a file is, "a directory" for one; "" for a regular file.
func Kind(st unix.Stat_t) string {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return ""
	case unix.S_IFDIR:
		return "a directory"
	case unix.S_IFLNK:
		return "a symbolic link"
	case unix.S_IFIFO:
		return "a fifo"
	case unix.S_IFSOCK:
		return "a socket"
	case unix.S_IFCHR, unix.S_IFBLK:
		return "a device"
	}
	return "something else"
}
