package listen

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// maxUnixPath is the longest path of a Unix socket, in octets (unix(7): 108
// with the NUL).
const maxUnixPath = 107

// shortPath returns a name for path that fits into a socket's address: if path is too
// long, one by way of its open directory, which must be closed after use; it may be
// nil.
func shortPath(path string) (string, *os.File, error) {
	if len(path) <= maxUnixPath {
		return path, nil, nil
	}
	dir, err := os.OpenFile(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", nil, err
	}
	short := fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path))
	if len(short) > maxUnixPath {
		dir.Close()
		return "", nil, fmt.Errorf("%s: %w", path, syscall.ENAMETOOLONG)
	}
	return short, dir, nil
}

// DialUnix connects to the Unix socket at path, which may be of any length.
func DialUnix(path string, limit time.Duration) (net.Conn, error) {
	name, dir, err := shortPath(path)
	if err != nil {
		return nil, err
	}
	defer dir.Close() // os.File takes nil
	return net.DialTimeout("unix", name, limit)
}

// unixListener is a Unix socket and the directory of its shortPath.
type unixListener struct {
	*net.UnixListener
	dir *os.File
}

// Close closes the socket and removes its name.
func (l unixListener) Close() error { return errors.Join(l.UnixListener.Close(), closeDir(l.dir)) }

func closeDir(dir *os.File) error {
	if dir == nil {
		return nil
	}
	return dir.Close()
}

// ListenUnix opens a Unix socket at path, and removes first what a killed server left
// there. Mode 0 leaves the mode to the umask.
func ListenUnix(path string, mode os.FileMode) (net.Listener, error) {
	name, dir, err := shortPath(path)
	if err != nil {
		return nil, err
	}
	if err := removeStale(name); err != nil {
		closeDir(dir)
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if err == nil && mode != 0 {
		if err = os.Chmod(name, mode); err != nil {
			l.Close()
		}
	}
	if err != nil {
		closeDir(dir)
		return nil, err
	}
	return unixListener{l, dir}, nil
}

// PeerCred returns the credentials of the peer of a Unix socket (SO_PEERCRED, unix(7));
// nil for any other conn.
func PeerCred(conn net.Conn) (*unix.Ucred, error) {
	c, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, nil
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return nil, err
	}
	return cred, credErr
}
