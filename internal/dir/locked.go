package dir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// OpenLocked opens the file path, which processes of a home share, and locks it
// until it is closed. It is made where it is missing, and so is its directory. A
// symbolic link is refused.
func OpenLocked(path string) (*os.File, error) {
	const how = os.O_RDWR | os.O_CREATE | unix.O_NOFOLLOW | unix.O_NONBLOCK
	f, err := os.OpenFile(path, how, 0o660)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.Mkdir(filepath.Dir(path), 0o770); err == nil || errors.Is(err, fs.ErrExist) {
			f, err = os.OpenFile(path, how, 0o660)
		}
	}
	if err != nil {
		return nil, err
	}
	// Stages of other users share it, whatever this one's umask. Only the owner
	// can, and he did when he made it.
	_ = f.Chmod(0o660)
	if err := retry(func() error { return unix.Flock(int(f.Fd()), unix.LOCK_EX) }); err != nil {
		f.Close()
		return nil, &fs.PathError{Op: "flock", Path: path, Err: err}
	}
	return f, nil
}
