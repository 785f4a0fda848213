package pop3serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/maillog"
	"paperpath/internal/pop3"
)

// job is what a process for a mailbox's owner is to do.
type job struct {
	pop3.Handover
	Expire bool // no session: remove from the trash what is older than Undelete
}

// owners starts sessions as the owners of mailboxes, through the launcher.
type owners struct {
	requests *net.UnixConn
	gone     chan struct{} // closed when the launcher has ended
}

// launchedBy returns the connection to the launcher that started this process, nil
// for none.
func launchedBy() (*owners, error) {
	text := os.Getenv(launcherEnv)
	if text == "" {
		return nil, nil
	}
	os.Unsetenv(launcherEnv)
	fd, err := strconv.Atoi(text)
	if err != nil || fd < 3 {
		return nil, errors.New(launcherEnv + " is not a descriptor")
	}
	unix.CloseOnExec(fd)
	conn, err := unixConn(os.NewFile(uintptr(fd), "launcher"))
	if err != nil {
		return nil, err
	}
	o := &owners{conn, make(chan struct{})}
	go func() {
		defer close(o.gone)
		conn.Read(make([]byte, 1)) // it never sends anything
	}()
	return o, nil
}

// lifetime ends ctx when the launcher ends: without it foreign mailboxes cannot be
// served.
func (o *owners) lifetime(ctx context.Context) (context.Context, context.CancelFunc) {
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

// handOver starts the rest of a session as the owner of its mailbox.
func (o *owners) handOver(h pop3.Handover, log *maillog.Log) (conn *net.UnixConn, logged func(), err error) {
	return o.start(job{Handover: h}, log)
}

// start asks for a process and returns the conversation with it; logged waits until
// all its events are in the log.
func (o *owners) start(j job, log *maillog.Log) (conn *net.UnixConn, logged func(), err error) {
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

// expiredReply is what a process answers when it has expired a trash.
const expiredReply = "+OK\r\n"

// expire has a process of the owner clean the trash of a mailbox.
func (o *owners) expire(account pop3.Account, window time.Duration, log *maillog.Log) error {
	j := job{Handover: pop3.Handover{Account: account, Undelete: window}, Expire: true}
	owner, logged, err := o.start(j, log)
	if err != nil {
		return err
	}
	defer logged()
	reply, err := io.ReadAll(io.LimitReader(owner, 512))
	if err != nil || string(reply) != expiredReply {
		return fmt.Errorf("the trash of %s could not be cleaned", account.Maildir)
	}
	return nil
}

// socketPair returns the two ends of a socket; the second is for a child.
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

// unixConn turns f into a connection and closes f.
func unixConn(f *os.File) (*net.UnixConn, error) {
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
	maillog.To(events, name, time.Now).Trouble("", "start a session", err)
}
