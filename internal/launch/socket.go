package launch

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// maxRequest bounds a request to the launcher, in bytes.
const maxRequest = 16 << 10

// Socket is one end of a Unix socket that descriptors can be sent by.
type Socket struct{ *net.UnixConn }

// Pair returns the two ends of a socket; the second is for another process.
func Pair(kind int) (ours *Socket, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	theirs = os.NewFile(uintptr(fds[1]), "socket")
	if ours, err = Open(os.NewFile(uintptr(fds[0]), "socket")); err != nil {
		theirs.Close()
	}
	return ours, theirs, err
}

// Open turns f into a socket and closes f.
func Open(f *os.File) (*Socket, error) {
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		conn.Close()
		return nil, errors.New(f.Name() + " is not a Unix socket")
	}
	return &Socket{unixConn}, nil
}

// Send sends a request with descriptors (unix(7), SCM_RIGHTS).
func (s *Socket) Send(request []byte, files ...*os.File) error {
	if len(request) > maxRequest {
		return errors.New("the request to the launcher is too long")
	}
	fds := make([]int, len(files))
	for i, f := range files {
		fds[i] = int(f.Fd())
	}
	_, _, err := s.WriteMsgUnix(request, unix.UnixRights(fds...), nil)
	return err
}

// Receive is the other end of Send; the error is io.EOF once the front has ended. Files may come
// with an error too.
func (s *Socket) Receive() (request []byte, files []*os.File, err error) {
	buf, rights := make([]byte, maxRequest), make([]byte, unix.CmsgSpace(8*4))
	n, rightsLen, _, _, err := s.ReadMsgUnix(buf, rights)
	if err != nil {
		return nil, nil, err
	}
	if n == 0 {
		return nil, nil, io.EOF
	}
	messages, err := unix.ParseSocketControlMessage(rights[:rightsLen])
	for i := range messages {
		fds, _ := unix.ParseUnixRights(&messages[i])
		for _, fd := range fds {
			unix.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "passed"))
		}
	}
	return buf[:n], files, err
}

// Close closes files that came with a request.
func Close(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}
