package spool

import (
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

// syncTogether is how many drafts it takes for one sync of their file system to be
// cheaper than one for each of them.
const syncTogether = 16

// syncer makes drafts durable, each by itself or all together.
type syncer struct {
	fd   int // on the file system of them all; -1: each by itself
	path string
}

// syncer returns one for n drafts. A descriptor reports only failures of its file
// system since it was opened, and each of them once: so each split has its own,
// opened before anything is written.
func (s *Spool) syncer(n int) (*syncer, error) { return syncerAt(s.path, n) }

// syncerAt returns one for n files on the file system of path.
func syncerAt(path string, n int) (*syncer, error) {
	y := &syncer{fd: -1, path: path}
	if n < syncTogether || !syncsTogether(path) {
		return y, nil
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	y.fd = fd
	return y, nil
}

// syncsTogether reports whether syncfs(2) there returns an error for what could not
// be written: since Linux 5.8, on file systems that are known to do so, and on tmpfs,
// which writes nothing; overlayfs and FUSE are layers over others and may not learn
// of it.
func syncsTogether(path string) bool {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return false
	}
	switch int64(st.Type) {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.TMPFS_MAGIC:
	default:
		return false
	}
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return false
	}
	var major, minor int
	_, err := fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &major, &minor)
	return err == nil && (major > 5 || major == 5 && minor >= 8)
}

// written takes over a draft that has all its data.
func (y *syncer) written(d *draft) error {
	if y.fd < 0 {
		return d.sync()
	}
	return d.finish()
}

// sync returns nil once all are durable. A failure is final for all of them.
func (y *syncer) sync() error {
	if y.fd < 0 {
		return nil
	}
	err := unix.Syncfs(y.fd)
	for err == unix.EINTR {
		err = unix.Syncfs(y.fd)
	}
	if err != nil {
		return &fs.PathError{Op: "syncfs", Path: y.path, Err: err}
	}
	return nil
}

func (y *syncer) close() {
	if y.fd >= 0 {
		unix.Close(y.fd)
	}
}
