// Package dir works on the files of one open directory: every name is taken
// relative to a descriptor, nothing follows a symbolic link, and no rename but
// Replace replaces a name that exists.
package dir

import (
	"errors"
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

	mode   atomic.Uint32 // that new files have without chmod (setMode)
	others atomic.Bool   // files in it are of other users (rawOpen)
	f      *os.File      // over fd, once File was called
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
