package sendmail

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/dir"
	"paperpath/internal/status"
)

// Socket is the socket of the server with the role local, in the home.
const Socket = "run/submit"

const (
	busyTimeout = time.Minute // for a server that has too many clients

	// AwayTimeout is for a server that is being started again, by mailctl start after a
	// second or by systemd after five: the callers of sendmail do not try again.
	AwayTimeout = 10 * time.Second
)

// Dial connects to run/submit once.
func Dial(home string) (*os.File, error) {
	path := filepath.Join(home, Socket)
	conn, err := dial(path)
	if err == nil {
		return conn, nil
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, status.Temp("4.3.0", "no permission to connect to "+path+
			" (mailctl init, run as root, opens the directories above it)", err)
	}
	return nil, status.Temp("4.3.0", "no server is listening on "+path+" (mailctl start runs it)", err)
}

// dial connects to a Unix socket, which does not wait. Package net is not needed for that, and
// would be a part of the time in which sendmail starts.
func dial(path string) (*os.File, error) {
	name, way, err := dir.SocketName(path)
	if err != nil {
		return nil, err
	}
	defer way.Close() // os.File takes nil
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: name}); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("connect", err)
	}
	return os.NewFile(uintptr(fd), path), nil
}

// CloseWrite tells the other end of a connection that nothing more comes.
func CloseWrite(conn *os.File) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = unix.Shutdown(int(fd), unix.SHUT_WR) }); err != nil {
		return err
	}
	return failed
}

// connect connects to run/submit and says hello. It waits as Again does.
func connect(wait func() context.Context, home string, away time.Duration) (c *client, err error) {
	err = Again(wait, away, func() error {
		c, err = connectOnce(home)
		return err
	})
	return c, err
}

func connectOnce(home string) (*client, error) {
	conn, err := Dial(home)
	if err != nil {
		return nil, err
	}
	c := newClient(conn)
	if err := c.hello(); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Again repeats what connects to run/submit while the server has too many clients, and for
// the time away while there is none, for the callers of sendmail seldom do. The context is asked
// for when it has to wait.
func Again(wait func() context.Context, away time.Duration, connect func() error) error {
	begin := time.Now()
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		err := connect()
		if time.Since(begin) > tryFor(err, away) {
			return err
		}
		ctx := wait()
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return interrupted{err}
		}
	}
}

// interrupted is the error of one who has waited until a signal came.
type interrupted struct{ error }

// Unwrap returns the cause.
func (i interrupted) Unwrap() error { return i.error }

// tryFor is how long a caller tries again after err.
func tryFor(err error, away time.Duration) time.Duration {
	var e *status.Error
	switch {
	case err == nil:
		return -1
	case errors.Is(err, unix.EAGAIN), // the listener's queue is full
		errors.As(err, &e) && e.Reply == 421 && e.Enhanced == "4.7.0":
		return busyTimeout
	case NobodyListens(err), errors.Is(err, io.EOF), errors.Is(err, unix.ECONNRESET), errors.Is(err, unix.EPIPE),
		errors.As(err, &e) && e.Reply == 421 && e.Enhanced == "4.3.2": // it ends
		return away
	}
	return -1
}

// NobodyListens reports whether there is no server on the socket. One that may not be
// connected to is there.
func NobodyListens(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ECONNREFUSED)
}
