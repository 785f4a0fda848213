package listen

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"paperpath/internal/status"

	"golang.org/x/sys/unix"
)

// Stdin returns standard input and output as one connection: the socket if both are the
// same one (inetd, xinetd, systemd), otherwise a pair (pipes, a terminal, two sockets).
// Deadlines work on sockets and pipes, and for reading on terminals. On files, and for
// writing on terminals, they are accepted without effect.
//
// If systemd has passed one connection (Accept=yes), Stdin returns that. The remote
// address is the socket's; pipes and files have none. The environment is for Wrapped.
func Stdin(in, out *os.File) (net.Conn, error) {
	if connected() {
		f, err := passed()
		if err != nil {
			return nil, err
		}
		defer f.Close() // FileConn has its own
		in, out = f, f
	}
	if Waiting(in) {
		return nil, errors.New("standard input is a listening socket (inetd's wait), not a session")
	}
	inSocket, err := isSocket(in)
	if err != nil {
		return nil, fmt.Errorf("standard input: %w", err)
	}
	if inSocket && sameFile(in, out) {
		conn, err := net.FileConn(in)
		if err != nil {
			return nil, fmt.Errorf("standard input: %w", err)
		}
		return conn, nil
	}
	r, err := openInput(in)
	if err != nil {
		return nil, fmt.Errorf("standard input: %w", err)
	}
	w, err := openEnd(out)
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("standard output: %w", err)
	}
	p := &pair{in: r, out: w, remote: stdinAddr{}}
	if c, ok := r.end.(net.Conn); ok {
		p.remote = c.RemoteAddr()
	}
	return p, nil
}

func sameFile(a, b *os.File) bool {
	x, errA := a.Stat()
	y, errB := b.Stat()
	return errA == nil && errB == nil && os.SameFile(x, y)
}

func isSocket(f *os.File) (bool, error) {
	st, err := f.Stat()
	if err != nil {
		return false, err
	}
	return st.Mode()&os.ModeSocket != 0, nil
}

// stdinAddr is the address of a client that has none.
type stdinAddr struct{}

func (stdinAddr) Network() string { return "stdin" }
func (stdinAddr) String() string  { return "stdin" }

// end is a socket or a file.
type end interface {
	io.ReadWriteCloser
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}

// side is one half of a pair.
type side struct {
	end
	restore int // descriptor to make blocking again, or -1
}

// openEnd duplicates f so that its deadlines work. Other processes may share the open
// file, to which non-blocking mode belongs; Close undoes it.
func openEnd(f *os.File) (*side, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st.Mode()&os.ModeSocket != 0 {
		c, err := net.FileConn(f)
		return &side{end: c, restore: -1}, err
	}
	fd, err := dup(f)
	if err != nil {
		return nil, err
	}
	s := &side{restore: -1}
	if st.Mode()&os.ModeNamedPipe != 0 && !nonblocking(fd) {
		if err := unix.SetNonblock(fd, true); err != nil {
			unix.Close(fd)
			return nil, err
		}
		if s.restore, err = dup(f); err != nil {
			s.restore = -1
		}
	}
	s.end = os.NewFile(uintptr(fd), f.Name())
	return s, nil
}

// openInput is openEnd for input. A goroutine of its own waits for reads from a terminal
// or another character device, which may never end: in non-blocking mode the device
// would be so for the shell too.
func openInput(f *os.File) (*side, error) {
	s, err := openEnd(f)
	if err != nil {
		return nil, err
	}
	if st, err := f.Stat(); err != nil || st.Mode()&os.ModeCharDevice == 0 {
		return s, err
	}
	ours, theirs := net.Pipe()
	go func() {
		_, err := copyAll(theirs, s.end)
		_ = err // for the reader every error is the end of input
		theirs.Close()
	}()
	return &side{end: ours, restore: s.restore}, nil
}

// copyAll is io.Copy for a goroutine: a panic ends it alone.
func copyAll(w io.Writer, r io.Reader) (n int64, err error) {
	defer status.Catch(&err)
	return io.Copy(w, r)
}

func nonblocking(fd int) bool {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	return err == nil && flags&unix.O_NONBLOCK != 0
}

// dup goes through SyscallConn because File.Fd changes the file's mode.
func dup(f *os.File) (int, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd := -1
	var dupErr error
	err = raw.Control(func(old uintptr) {
		fd, dupErr = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
	})
	return fd, errors.Join(err, dupErr)
}

func (s *side) Close() error {
	err := s.end.Close()
	if s.restore >= 0 {
		unix.SetNonblock(s.restore, false)
		unix.Close(s.restore)
		s.restore = -1
	}
	return err
}

// pair is two descriptors as a connection.
type pair struct {
	in, out *side
	remote  net.Addr
}

func (p *pair) Read(b []byte) (int, error)  { return p.in.Read(b) }
func (p *pair) Write(b []byte) (int, error) { return p.out.Write(b) }
func (p *pair) LocalAddr() net.Addr         { return stdinAddr{} }
func (p *pair) RemoteAddr() net.Addr        { return p.remote }

func (p *pair) Close() error { return errors.Join(p.in.Close(), p.out.Close()) }

func (p *pair) SetDeadline(t time.Time) error {
	return errors.Join(p.SetReadDeadline(t), p.SetWriteDeadline(t))
}

func (p *pair) SetReadDeadline(t time.Time) error  { return supported(p.in.SetReadDeadline(t)) }
func (p *pair) SetWriteDeadline(t time.Time) error { return supported(p.out.SetWriteDeadline(t)) }

// supported ignores errors about what files and terminals cannot do.
func supported(err error) error {
	if errors.Is(err, os.ErrNoDeadline) || errors.Is(err, syscall.ENOTSUP) {
		return nil
	}
	return err
}
