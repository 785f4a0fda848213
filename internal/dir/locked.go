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
		if err = makeLost(filepath.Dir(path)); err == nil {
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

// makeLost makes run/ again. Whoever may pass through the home may pass through
// it too: run/submit is for all users of the machine.
func makeLost(path string) error {
	if err := os.Mkdir(path, 0o770); errors.Is(err, fs.ErrExist) {
		return nil
	} else if err != nil {
		return err
	}
	home, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return os.Chmod(path, info.Mode().Perm()|home.Mode().Perm()&0o011)
}
