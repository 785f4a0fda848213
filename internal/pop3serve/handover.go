package pop3serve

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/launch"
	"paperpath/internal/maillog"
	"paperpath/internal/pop3"
)

// job is what a process for a mailbox's owner is to do.
type job struct {
	pop3.Handover
	Expire bool // no session: remove from the trash what is older than Undelete
}

// owners starts sessions as the owners of mailboxes, through the launcher.
type owners struct{ *launch.Launcher }

// launchedBy returns the connection to the launcher that started this process, nil
// for none.
func launchedBy() (*owners, error) {
	l, err := launch.Started()
	if l == nil || err != nil {
		return nil, err
	}
	return &owners{l}, nil
}

// lifetime ends ctx when the launcher ends.
func (o *owners) lifetime(ctx context.Context) (context.Context, context.CancelFunc) {
	if o == nil {
		return context.WithCancel(ctx)
	}
	return o.Lifetime(ctx)
}

// handOver starts the rest of a session as the owner of its mailbox.
func (o *owners) handOver(h pop3.Handover, log *maillog.Log) (conn *net.UnixConn, logged func(), err error) {
	return o.start(job{Handover: h}, log)
}

// start asks for a process and returns the conversation with it; logged waits until
// all its events are in the log.
func (o *owners) start(j job, log *maillog.Log) (conn *net.UnixConn, logged func(), err error) {
	ours, theirs, err := launch.Pair(unix.SOCK_STREAM)
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
	text, err := json.Marshal(j)
	if err == nil {
		err = o.Send(text, theirs, write)
	}
	if err != nil {
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
	return ours.UnixConn, func() { ours.Close(); <-over }, nil
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

// writeTrouble writes an event for the front to forward.
func writeTrouble(events *os.File, err error) {
	maillog.To(events, name, time.Now).Trouble("", "start a session", err)
}
