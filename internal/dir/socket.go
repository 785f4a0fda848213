package dir

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxUnixPath is the longest path of a Unix socket, in octets (unix(7): 108
// with the NUL).
const maxUnixPath = 107

// SocketName returns a name for path that fits into a socket's address: if path is too
// long, one by way of its open directory, which must be closed after use; it may be
// nil.
func SocketName(path string) (string, *os.File, error) {
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
