package pop3serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/auth"
	"paperpath/internal/clock"
	"paperpath/internal/control"
	"paperpath/internal/dir"
	"paperpath/internal/home"
	"paperpath/internal/launch"
	"paperpath/internal/pop3"
	"paperpath/internal/status"
)

// Started as root, pop3d runs as three kinds of processes of the same program:
//
//   - the launcher stays root. It reads control/users and starts the others; it
//     opens no mailbox, and no client talks to it.
//   - the front runs as the owner of the spool. It has the listeners, TLS and each
//     session until the login, like a pop3d started without root. It serves the
//     virtual users itself: their mailboxes are its own.
//   - an owner's process serves each session with a mailbox of somebody else, as
//     that user. The front copies bytes between it and the client.
//
// The front sends the launcher one request a session over a socket, with two
// descriptors: the owner's end of the conversation, and a pipe for its events.

// Launch runs the command line again as the owner of the spool and starts the
// processes that this one asks for, until it ends. done is false where there is
// nothing to launch: the process is not root, or root owns the home.
func Launch(ctx context.Context, h *home.Home) (done bool, err error) {
	return launch.Front(ctx, h, []uintptr{unix.CAP_NET_BIND_SERVICE}, // for port 110
		func(requests *launch.Socket) {
			l := &launcher{control: h.Control, clock: h.Clock, requests: requests}
			l.serve()
			l.sessions.Wait()
		})
}

// launcher starts processes for mailbox owners.
type launcher struct {
	control  *control.Control
	clock    clock.Clock
	requests *launch.Socket
	sessions sync.WaitGroup
}

// serve handles requests until the front has ended.
func (l *launcher) serve() {
	for {
		text, files, err := l.requests.Receive()
		if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
			return
		}
		var j job
		if err = errors.Join(err, json.Unmarshal(text, &j)); err != nil || len(files) != 2 {
			launch.Close(files)
			continue
		}
		l.sessions.Go(func() {
			defer launch.Close(files)
			err := status.Guard(func() error { return l.run(j, files[0], files[1]) })
			if err != nil {
				writeTrouble(files[1], err)
			}
			if err != nil && !errors.As(err, new(*exec.ExitError)) { // the client has no reply yet
				files[0].WriteString(pop3.TroubleReply(err))
			}
		})
	}
}

// run starts a process for a job and waits for its end.
func (l *launcher) run(j job, conversation, events *os.File) error {
	user, err := l.control.UserNow(j.Account.Login)
	if err != nil {
		return err
	}
	if user == nil {
		return fmt.Errorf("control/users has no %s", j.Account.Login)
	}
	uid, gid, err := ownerOf(user)
	if err != nil {
		return err
	}
	j.Account.Maildir = user.Maildir()
	if j.Account.Folder != "" && !auth.IsFolder(j.Account.Folder) {
		return fmt.Errorf("no such folder: %q", j.Account.Folder)
	}
	return l.runAs(uid, gid, j, conversation, events)
}

// ownerOf returns the owner of a row's mailbox: the uid in the row, else the owner
// of its home, if nobody else can replace that directory. Mailboxes of root are
// refused: an alias sends root's mail to a person.
func ownerOf(user *control.User) (uid, gid int, err error) {
	uid, gid = user.UID, user.GID
	if uid < 0 || gid < 0 {
		var st unix.Stat_t
		if err := unix.Stat(user.Home, &st); err != nil {
			return 0, 0, fmt.Errorf("stat %s: %w", user.Home, err)
		}
		if uid < 0 {
			uid = int(st.Uid)
			if err := dir.Trusted(user.Home, uid); err != nil {
				return 0, 0, fmt.Errorf("%s: cannot tell who owns the mailbox (write the uid into the row): %w",
					user.Where, err)
			}
		}
		if gid < 0 {
			gid = int(st.Gid)
		}
	}
	if uid == 0 {
		return 0, 0, fmt.Errorf("%s: the mailbox belongs to root: %w", user.Where, pop3.ErrPermanent)
	}
	return uid, gid, nil
}

// runAs runs the verb session as uid with a job, and waits for its end.
func (l *launcher) runAs(uid, gid int, j job, conversation, events *os.File) error {
	text, err := json.Marshal(j)
	if err != nil {
		return err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	cmd := exec.Command("/proc/self/exe", "session")
	cmd.Args[0] = name
	cmd.Env = []string{"PAPERPATH_HOME=" + l.control.Home()}
	if l.clock.Shifted() {
		cmd.Env = append(cmd.Env, "PAPERPATH_NOW="+l.clock.Now().Format(time.RFC3339))
	}
	cmd.Dir = "/"
	cmd.ExtraFiles = []*os.File{read, conversation, events}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: launch.Credential(uid, gid, nil), Setsid: true}
	if err := cmd.Start(); err != nil {
		write.Close()
		return fmt.Errorf("start a session as uid %d: %w", uid, err)
	}
	_, err = write.Write(text) // less than a pipe holds
	err = errors.Join(err, write.Close())
	if ended := cmd.Wait(); err == nil && ended != nil {
		err = fmt.Errorf("session as uid %d: %w", uid, ended)
	}
	return err
}
