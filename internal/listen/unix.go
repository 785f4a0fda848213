package listen

import (
	"errors"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/dir"
)

// DialUnix connects to the Unix socket at path, which may be of any length.
func DialUnix(path string, limit time.Duration) (net.Conn, error) {
	name, way, err := dir.SocketName(path)
	if err != nil {
		return nil, err
	}
	defer way.Close() // os.File takes nil
	return net.DialTimeout("unix", name, limit)
}

// unixListener is a Unix socket and the directory of its dir.SocketName.
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
	name, way, err := dir.SocketName(path)
	if err != nil {
		return nil, err
	}
	if err := removeStale(name); err != nil {
		closeDir(way)
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if err == nil && mode != 0 {
		if err = os.Chmod(name, mode); err != nil {
			l.Close()
		}
	}
	if err != nil {
		closeDir(way)
		return nil, err
	}
	return unixListener{l, way}, nil
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
