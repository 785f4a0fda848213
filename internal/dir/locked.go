package dir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// ErrLocked says that another process held the lock of a file for too long.
var ErrLocked = errors.New("another process holds the lock")

const (
	lockWait = time.Second // a process that was stopped must not stop all others
	lockPoll = 5 * time.Millisecond
)

// OpenLocked opens the file path, which processes of a home share, and locks it until it
// is closed; the error is ErrLocked if another process holds the lock for over a
// second. A missing file is made, and so is its directory. It must be a regular file.
func OpenLocked(path string) (*os.File, error) { return openLocked(path, lockWait) }

// TryLocked is OpenLocked without waiting, for work that only the first process does.
func TryLocked(path string) (*os.File, error) { return openLocked(path, 0) }

func openLocked(path string, wait time.Duration) (*os.File, error) {
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
	if err := isRegular(f); err != nil {
		f.Close()
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	// Stages of other users share the file, whatever the umask here. Only its owner can
	// change the mode, and did so when making it.
	_ = f.Chmod(0o660)
	if err := Lock(f, wait); err != nil {
		f.Close()
		return nil, &fs.PathError{Op: "flock", Path: path, Err: err}
	}
	return f, nil
}

// isRegular refuses anything but a regular file: a fifo would keep no record.
func isRegular(f *os.File) error {
	var st unix.Stat_t
	if err := retry(func() error { return unix.Fstat(int(f.Fd()), &st) }); err != nil {
		return err
	}
	return regular(st)
}

// Lock locks an open file. flock(2) would wait forever; here the error is ErrLocked if
// another process holds the lock for longer than wait.
func Lock(f *os.File, wait time.Duration) error {
	for end := time.Now().Add(wait); ; time.Sleep(lockPoll) {
		err := retry(func() error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) })
		switch {
		case err != unix.EWOULDBLOCK:
			return err
		case !time.Now().Before(end):
			return ErrLocked
		}
	}
}

// makeLost makes a lost run/ again. All users who may pass through the home may pass
// through run/, too: every user of the machine may use run/submit.
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
