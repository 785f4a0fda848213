package pop3

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/maillog"
)

// job is what a process for a mailbox's owner is to do.
type job struct {
	Account      Account
	Client       maillog.Client
	Capabilities []string // CAPA's answer
	MaxErrors    int
	Idle         time.Duration
	Undelete     time.Duration
	Ageless      bool // the age of what is in the trash is not to be believed
	Expire       bool // no session: remove from the trash what is older than Undelete
}

// maxFirstReply bounds the wait for the answer to a login.
const maxFirstReply = 2 * time.Minute

// Owners starts sessions as the owners of mailboxes, through the launcher.
type Owners struct {
	requests *net.UnixConn
	gone     chan struct{} // closed when the launcher has ended
}

// owners returns the launcher that started this process, nil for none.
func owners() (*Owners, error) {
	text := os.Getenv(launcherEnv)
	if text == "" {
		return nil, nil
	}
	os.Unsetenv(launcherEnv)
	fd, err := strconv.Atoi(text)
	if err != nil || fd < 3 {
		return nil, errors.New(launcherEnv + " is no descriptor")
	}
	unix.CloseOnExec(fd)
	conn, err := unixConn(os.NewFile(uintptr(fd), "launcher"))
	if err != nil {
		return nil, err
	}
	o := &Owners{conn, make(chan struct{})}
	go func() {
		defer close(o.gone)
		conn.Read(make([]byte, 1)) // it never says a thing
	}()
	return o, nil
}

// lifetime ends ctx with the launcher: without it the service is none.
func (o *Owners) lifetime(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if o != nil {
		go func() {
			select {
			case <-o.gone:
				cancel()
			case <-ctx.Done():
			}
		}()
	}
	return ctx, cancel
}

// start asks for a process and returns the conversation with it, and what waits
// until all that it had to log is logged.
func (o *Owners) start(j job, log *maillog.Log) (conn *net.UnixConn, logged func(), err error) {
	ours, theirs, err := socketPair(unix.SOCK_STREAM)
	if err != nil {
		return nil, nil, err
	}
	defer theirs.Close()
	read, write, err := os.Pipe()
	if err != nil {
		ours.Close()
		return nil, nil, err
	}
	defer write.Close()
	if err := send(o.requests, j, theirs, write); err != nil {
		ours.Close()
		read.Close()
		return nil, nil, err
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		defer read.Close()
		log.Forward(read)
	}()
	return ours, func() { ours.Close(); <-over }, nil
}

// expiredReply is what a process says that has expired a trash.
const expiredReply = "+OK\r\n"

// expire has the trash of a mailbox cleaned by its owner.
func (o *Owners) expire(account Account, window time.Duration, log *maillog.Log) error {
	owner, logged, err := o.start(job{Account: account, Undelete: window, Expire: true}, log)
	if err != nil {
		return err
	}
	defer logged()
	if said, err := io.ReadAll(io.LimitReader(owner, 512)); err != nil || string(said) != expiredReply {
		return fmt.Errorf("%s is not cleaned", account.Maildir)
	}
	return nil
}

// handOver lets a process of the mailbox's owner hold the session from here on.
// It returns nil where the login is refused: then the client may try again.
func (s *session) handOver(account Account) error {
	j := job{Account: account, Client: s.cfg.Client, MaxErrors: s.cfg.MaxErrors, Idle: s.cfg.IdleTimeout,
		Undelete: s.cfg.Undelete, Capabilities: s.afterLogin()}
	// The record of the clock is not the owner's to write.
	j.Ageless = j.Undelete > 0 && s.cfg.Ages != nil && !s.cfg.Ages()
	owner, logged, err := s.cfg.Owners.start(j, s.cfg.Log)
	if err != nil {
		return s.trouble("start a session", err)
	}
	defer logged()
	owner.SetReadDeadline(time.Now().Add(maxFirstReply))
	said := bufio.NewReader(owner)
	reply, err := said.ReadString('\n')
	if err != nil {
		return s.trouble("start a session", err)
	}
	s.wire.print("%s", reply)
	if !strings.HasPrefix(reply, "+OK") {
		return nil
	}
	owner.SetReadDeadline(time.Time{})
	s.cfg.Gate.entered(account.Login, s.cfg.LoginDelay)
	s.passOn(owner, said)
	return errHandedOver
}

// afterLogin is CAPA's answer in a session that another process holds.
func (s *session) afterLogin() (lines []string) {
	for _, line := range s.capabilities() {
		if line != "STLS" {
			lines = append(lines, line)
		}
	}
	return lines
}

// passOn carries octets both ways until the owner's process ends the session.
// It is that which keeps the times; the client is only waited for longer here.
func (s *session) passOn(owner *net.UnixConn, said io.Reader) {
	s.wire.flush()
	over := make(chan struct{})
	go func() {
		defer close(over)
		defer s.wire.close()
		s.wire.carry(said)
	}()
	buf := make([]byte, inSize)
	for {
		s.wire.allow(time.Now().Add(2 * s.cfg.IdleTimeout))
		n, err := s.wire.in.Read(buf)
		if n > 0 {
			owner.SetWriteDeadline(time.Now().Add(2 * s.cfg.WriteTimeout))
			if _, failed := owner.Write(buf[:n]); failed != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	owner.CloseWrite()
	<-over
}

// carry sends what r gives to the client.
func (w *wire) carry(r io.Reader) {
	buf := make([]byte, 2*chunkSize)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			w.conn.SetWriteDeadline(time.Now().Add(w.write))
			if _, failed := w.rw.Write(buf[:n]); failed != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// socketPair returns the two ends of a socket, the second one for a child.
func socketPair(kind int) (ours *net.UnixConn, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	theirs = os.NewFile(uintptr(fds[1]), "socket")
	if ours, err = unixConn(os.NewFile(uintptr(fds[0]), "socket")); err != nil {
		theirs.Close()
	}
	return ours, theirs, err
}

// unixConn takes f over as a connection.
func unixConn(f *os.File) (*net.UnixConn, error) {
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		conn.Close()
		return nil, errors.New(f.Name() + " is no Unix socket")
	}
	return unixConn, nil
}

// send sends a job with descriptors (unix(7), SCM_RIGHTS).
func send(to *net.UnixConn, j job, files ...*os.File) error {
	text, err := json.Marshal(j)
	if err != nil {
		return err
	}
	if len(text) > maxRequest {
		return errors.New("the request to the launcher is too long")
	}
	fds := make([]int, len(files))
	for i, f := range files {
		fds[i] = int(f.Fd())
	}
	_, _, err = to.WriteMsgUnix(text, unix.UnixRights(fds...), nil)
	return err
}

// receive is the other end of send.
func receive(from *net.UnixConn) (j job, files []*os.File, err error) {
	buf, rights := make([]byte, maxRequest), make([]byte, unix.CmsgSpace(8*4))
	n, rightsLen, _, _, err := from.ReadMsgUnix(buf, rights)
	if err != nil {
		return j, nil, err
	}
	if n == 0 {
		return j, nil, io.EOF
	}
	messages, err := unix.ParseSocketControlMessage(rights[:rightsLen])
	for i := range messages {
		fds, _ := unix.ParseUnixRights(&messages[i])
		for _, fd := range fds {
			unix.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "passed"))
		}
	}
	return j, files, errors.Join(err, json.Unmarshal(buf[:n], &j))
}

func closeFiles(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// writeTrouble writes an event for the front to forward.
func writeTrouble(events *os.File, err error) {
	maillog.To(events, "pop3d", time.Now).Trouble("", "start a session", err)
}
