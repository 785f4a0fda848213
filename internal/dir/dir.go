// Package dir works on the files of one open directory: every name is taken
// relative to a descriptor, nothing follows a symbolic link, and no rename but
// Replace replaces a name that exists.
package dir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Dir is an open directory, or represents a missing one as empty (Sub).
type Dir struct {
	fd   int // noDir: missing. A delivery opens a dozen, and an os.File costs more than the call
	path string
	why  error // why it is missing
	read bool  // its names have been read (Scan)

	mode atomic.Uint32 // that new files have without chmod (setMode)
	f    *os.File      // over fd, once File was called
}

// Open opens the directory path. The last element must not be a symbolic link.
func Open(path string) (*Dir, error) { return openAt(path, unix.O_NOFOLLOW) }

// OpenLinked opens the directory path, or one that a symbolic link there leads to.
func OpenLinked(path string) (*Dir, error) { return openAt(path, 0) }

func openAt(path string, flags int) (*Dir, error) {
	// Not os.OpenFile, which tries to add every descriptor to the poller.
	var fd int
	err := retry(func() (err error) {
		fd, err = unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC|flags, 0)
		return err
	})
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return &Dir{fd: fd, path: path}, nil
}

// Of returns f, which is an open directory, as a Dir. Only f must be closed.
func Of(f *os.File) *Dir { return &Dir{fd: int(f.Fd()), path: f.Name(), f: f} }

// OfFd returns the open directory of a descriptor, which has to be closed by its owner.
func OfFd(fd int, path string) *Dir { return &Dir{fd: fd, path: path} }

// File returns the open directory. Only d closes it. The error says why it is missing. Two
// goroutines must not call it for the first time at once.
func (d *Dir) File() (*os.File, error) {
	if d.fd == closed {
		return nil, &fs.PathError{Op: "use", Path: d.path, Err: fs.ErrClosed}
	}
	if d.fd != noDir && d.f == nil {
		d.f = os.NewFile(uintptr(d.fd), d.path)
	}
	return d.f, d.why
}

// Path returns the path that the directory was opened with.
func (d *Dir) Path() string { return d.path }

// Join returns the path of name in d, for error texts.
func (d *Dir) Join(name string) string {
	if name == "" || strings.HasSuffix(d.path, "/") {
		return d.path + name
	}
	return d.path + "/" + name // filepath.Join would look at all of it again, for each call
}

// closed is the descriptor of a closed directory: every call on it fails with EBADF. It
// must not look like one that is missing, which is empty and needs no sync.
const closed = -2

// Close closes the descriptor.
func (d *Dir) Close() error {
	fd, f := d.fd, d.f
	switch fd {
	case noDir:
		return nil
	case closed:
		return &fs.PathError{Op: "close", Path: d.path, Err: fs.ErrClosed}
	}
	d.fd, d.f = closed, nil
	if f != nil {
		return f.Close()
	}
	return unix.Close(fd)
}

// Fd returns the descriptor, for locks and for fstat. Only d closes it.
func (d *Dir) Fd() int { return d.fd }

// Stat returns the directory's own status.
func (d *Dir) Stat() (unix.Stat_t, error) {
	var st unix.Stat_t
	if d.fd == noDir {
		return st, d.absent("stat", "")
	}
	if err := retry(func() error { return unix.Fstat(d.fd, &st) }); err != nil {
		return st, d.fail("stat", "", err)
	}
	return st, nil
}

// StatName returns the status of name without following a symbolic link.
func (d *Dir) StatName(name string) (unix.Stat_t, error) {
	var st unix.Stat_t
	if err := plain(name); err != nil {
		return st, d.fail("stat", name, err)
	}
	if d.fd == noDir {
		return st, d.absent("stat", name)
	}
	err := retry(func() error { return unix.Fstatat(d.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) })
	if err != nil {
		return st, d.fail("stat", name, err)
	}
	return st, nil
}

// Create makes the new file name for reading and writing. If the name exists, the error
// is fs.ErrExist. The umask does not change the mode.
func (d *Dir) Create(name string, mode uint32) (*os.File, error) {
	f, err := d.openAs(name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, mode)
	if err != nil {
		return nil, err
	}
	if err := d.setMode(f, mode); err != nil {
		f.Close()
		d.Remove(name)
		return nil, err
	}
	return f, nil
}

// setMode gives a new file its mode, unless the umask is known to leave that alone: then the one
// before it had it at once.
func (d *Dir) setMode(f *os.File, mode uint32) error {
	const known = 1 << 31
	if d.mode.Load() == mode|known {
		return nil
	}
	var st unix.Stat_t
	if err := retry(func() error { return unix.Fstat(int(f.Fd()), &st) }); err != nil {
		return &fs.PathError{Op: "stat", Path: f.Name(), Err: err}
	}
	if st.Mode&0o7777 == mode {
		d.mode.Store(mode | known)
		return nil
	}
	return f.Chmod(fs.FileMode(mode))
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
	f, err := d.Create(name, 0o600)
	if err != nil {
		return nil, err
	}
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
	f, _, err := d.OpenSeen(name, flags, mode)
	return f, err
}

// OpenSeen is OpenFile for a name that the caller has just looked at and found to be that
// of a regular file, or of none. It returns the status of what it has opened, too.
func (d *Dir) OpenSeen(name string, flags int, mode uint32) (*os.File, unix.Stat_t, error) {
	var st unix.Stat_t
	f, err := d.open(name, flags, mode)
	if err != nil {
		return nil, st, err
	}
	if err = retry(func() error { return unix.Fstat(int(f.Fd()), &st) }); err == nil {
		err = regular(st)
	}
	if err != nil {
		f.Close()
		return nil, st, d.fail("open", name, err)
	}
	return f, st, nil
}

// ReadSeen reads the beginning of name into buf, like OpenSeen for one that only needs to look:
// an os.File costs more than the calls. It returns how much it has read.
func (d *Dir) ReadSeen(name string, buf []byte) (n int, st unix.Stat_t, err error) {
	fd, err := d.openFd(name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return 0, st, err
	}
	defer unix.Close(fd)
	if err = retry(func() error { return unix.Fstat(fd, &st) }); err == nil {
		err = regular(st)
	}
	if err == nil {
		err = retry(func() error { n, err = unix.Pread(fd, buf, 0); return err })
	}
	if err != nil {
		return 0, st, d.fail("read", name, err)
	}
	return n, st, nil
}

// open opens what may be anything. With O_NONBLOCK that does not block; for a file that is new it
// would only have the poller asked for it.
func (d *Dir) open(name string, flags int, mode uint32) (*os.File, error) {
	return d.openAs(name, flags|unix.O_NONBLOCK|unix.O_NOCTTY, mode)
}

func (d *Dir) openAs(name string, flags int, mode uint32) (*os.File, error) {
	fd, err := d.openFd(name, flags, mode)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), d.Join(name)), nil
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
	if errors.Is(err, unix.ELOOP) {
		err = ErrNotRegular
	}
	if err != nil {
		return -1, d.fail("open", name, err)
	}
	return fd, nil
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

// Rename moves name to newName in to. If newName exists, the error is fs.ErrExist and
// nothing changes.
func (d *Dir) Rename(name string, to *Dir, newName string) error {
	if err := errors.Join(plain(name), plain(newName)); err != nil {
		return d.fail("rename", name, err)
	}
	if err := d.between(to, "rename", name); err != nil {
		return err
	}
	err := retry(func() error {
		return unix.Renameat2(d.fd, name, to.fd, newName, unix.RENAME_NOREPLACE)
	})
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		// The file system has no RENAME_NOREPLACE: link(2) replaces nothing either.
		if err := d.Link(name, to, newName); err != nil {
			return err
		}
		return d.Remove(name)
	}
	if err != nil {
		return fmt.Errorf("rename %s to %s: %w", d.Join(name), to.Join(newName), err)
	}
	return nil
}

// Replace moves name to newName in to, in place of a file of that name: for files that say
// only what can be counted again.
func (d *Dir) Replace(name string, to *Dir, newName string) error {
	if err := errors.Join(plain(name), plain(newName)); err != nil {
		return d.fail("rename", name, err)
	}
	if err := d.between(to, "rename", name); err != nil {
		return err
	}
	err := retry(func() error { return unix.Renameat(d.fd, name, to.fd, newName) })
	if err != nil {
		return fmt.Errorf("rename %s to %s: %w", d.Join(name), to.Join(newName), err)
	}
	return nil
}

// Link gives the file name a second name, newName in to. If newName exists, the error is
// fs.ErrExist and nothing changes.
func (d *Dir) Link(name string, to *Dir, newName string) error {
	if err := errors.Join(plain(name), plain(newName)); err != nil {
		return d.fail("link", name, err)
	}
	if err := d.between(to, "link", name); err != nil {
		return err
	}
	err := retry(func() error { return unix.Linkat(d.fd, name, to.fd, newName, 0) })
	if err != nil {
		return fmt.Errorf("link %s to %s: %w", d.Join(name), to.Join(newName), err)
	}
	return nil
}

// Remove unlinks name.
func (d *Dir) Remove(name string) error {
	if err := plain(name); err != nil {
		return d.fail("unlink", name, err)
	}
	if d.fd == noDir {
		return d.absent("unlink", name)
	}
	if err := retry(func() error { return unix.Unlinkat(d.fd, name, 0) }); err != nil {
		return d.fail("unlink", name, err)
	}
	return nil
}

// Sync makes the names of the directory durable.
func (d *Dir) Sync() error {
	if d.fd == noDir {
		return nil
	}
	if err := retry(func() error { return unix.Fsync(d.fd) }); err != nil {
		return &fs.PathError{Op: "sync", Path: d.path, Err: err}
	}
	return nil
}

// Names calls each with every name in the directory that does not begin with a dot, in
// the order of the file system, until each returns false.
func (d *Dir) Names(each func(name string) bool) error {
	if d.fd == noDir {
		return nil
	}
	fd, err := d.reopen()
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), d.path)
	defer f.Close()
	for {
		names, err := f.Readdirnames(1024)
		for _, name := range names {
			if name[0] != '.' && !each(name) {
				return nil
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read directory %s: %w", d.path, err)
		}
	}
}

// Make makes the directory path durably: its name is synced in its parent. It may exist
// already.
func Make(path string, mode fs.FileMode) error {
	err := os.Mkdir(path, mode)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return Sync(filepath.Dir(path))
}

// Sync makes the names of the directory path durable; path may be a symbolic link
// to it.
func Sync(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func (d *Dir) fail(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: d.Join(name), Err: err}
}

// plain refuses names that are hidden or lead out of the directory.
func plain(name string) error {
	if name == "" || name[0] == '.' || strings.ContainsAny(name, "/\x00") {
		return errors.New("not a plain file name")
	}
	return nil
}

// retry repeats a system call that a signal interrupted.
func retry(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}
