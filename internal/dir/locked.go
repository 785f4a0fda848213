package dir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// ErrLocked says that another process kept a file's lock for as long as was waited.
var ErrLocked = errors.New("another process has it locked")

const (
	lockWait = time.Second // a process that was stopped must not stop the others
	lockPoll = 5 * time.Millisecond
)

// OpenLocked opens the file path, which processes of a home share, and locks it
// until it is closed: ErrLocked where another has it for over a second. It is made
// where it is missing, and so is its directory. What is no regular file is refused.
func OpenLocked(path string) (*os.File, error) { return openLocked(path, lockWait) }

// TryLocked is OpenLocked for what is done once by whoever comes first: it waits
// for no other.
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
	// Stages of other users share it, whatever this one's umask. Only the owner
	// can, and they did when they made it.
	_ = f.Chmod(0o660)
	if err := Lock(f, wait); err != nil {
		f.Close()
		return nil, &fs.PathError{Op: "flock", Path: path, Err: err}
	}
	return f, nil
}

// isRegular refuses what is no regular file: a fifo keeps nothing of what it is told.
func isRegular(f *os.File) error {
	var st unix.Stat_t
	if err := retry(func() error { return unix.Fstat(int(f.Fd()), &st) }); err != nil {
		return err
	}
	return regular(st)
}

// Lock takes the lock of an open file, for which flock(2) itself would wait without
// end: ErrLocked where another has it for longer than wait.
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
