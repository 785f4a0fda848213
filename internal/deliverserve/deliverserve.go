// Package deliverserve is maildeliver's processes for mailboxes of other users.
//
// Started as root, maildeliver runs as three kinds of processes of the same program:
//
//   - the launcher stays root. It starts the others. A request is two numbers, a user and a group,
//     and the name of an account: getent(1) says which groups these may have.
//   - the front runs as the program's user, and does everything as it does without root.
//   - a process of a mailbox's owner works on each message for a mailbox of somebody else. It
//     has the message open for reading and a socket to the front, and nothing else.
package deliverserve

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/callout"
	"paperpath/internal/control"
	"paperpath/internal/deliver"
	"paperpath/internal/home"
	"paperpath/internal/launch"
	"paperpath/internal/status"
)

const (
	// SessionVerb is the verb of a process of a mailbox's owner.
	SessionVerb = "session"

	maxAccount   = 64  // octets of an account's name
	maxSessions  = 200 // processes at a time: on a file server that is away they do not end
	conversation = 3   // the descriptors of such a process
	messageFile  = 4
)

// Processes are the processes of one maildeliver.
type Processes struct {
	launcher *launch.Launcher // that started this process; nil: none has
	groups   *control.Groups
	ours     reserved
}

// reserved are the users and groups of the home: no process for a mailbox has them, since whoever
// has taken over the front could ask for it.
type reserved struct{ uids, gids []int }

// Launch runs the command line again as the program's user, and starts the processes that
// this one asks for. done is false where there is nothing to launch: this is the front, or the
// process is not root, or root owns the home.
func (p *Processes) Launch(ctx context.Context, h *home.Home) (done bool, err error) {
	p.groups = h.Control.Groups()
	p.ours.uids, p.ours.gids = h.Reserved()
	serve := func(requests *launch.Socket) { serveAll(requests, p.ours, p.groups) }
	if done, err := launch.Front(ctx, h, nil, serve); done || err != nil {
		return done, err
	}
	if p.launcher, err = launch.Started(); p.launcher != nil {
		go func() {
			<-p.launcher.Gone() // whoever has ended it wants us to end
			_ = unix.Kill(os.Getpid(), unix.SIGTERM)
		}()
	}
	return false, err
}

// serveAll serves a front until it has ended.
func serveAll(requests *launch.Socket, ours reserved, groups *control.Groups) {
	slots := make(chan struct{}, maxSessions)
	for {
		request, files, err := requests.Receive()
		if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || len(files) != 2 {
			launch.Close(files)
			continue
		}
		select {
		case slots <- struct{}{}:
			go func() {
				defer func() { <-slots }()
				serve(request, files, ours, groups)
			}()
		default:
			launch.Close(files)
		}
	}
}

// serve starts the process that a request asks for, and waits for its end.
func serve(request []byte, files []*os.File, ours reserved, groups *control.Groups) {
	defer launch.Close(files) // so that the front sees its end
	cmd, err := command(request, files, ours, groups.Of)
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		deliver.Fail(files[0], err)
		return
	}
	files[1].Close()
	ended := make(chan struct{})
	go endWith(files[0], cmd.Process, ended, lookTime, lastTime)
	_ = cmd.Wait() // the front has heard more
	close(ended)
}

const (
	lookTime = time.Second      // between two looks at a conversation
	lastTime = 20 * time.Second // for a process to end when the front has left it; more than its program has
)

// endWith kills a process when the front has left the conversation with it. Its user can stop it
// at any time, and enough such processes would keep everybody else's from being started.
func endWith(conversation *os.File, p *os.Process, ended <-chan struct{}, every, most time.Duration) {
	look := time.NewTicker(every)
	defer look.Stop()
	for left := time.Duration(0); left < most; {
		select {
		case <-ended:
			return
		case <-look.C:
		}
		if hungUp(conversation) {
			left += every
		}
	}
	_ = p.Kill()
}

// hungUp reports whether the other end of a conversation is closed.
func hungUp(conversation *os.File) bool {
	polled := []unix.PollFd{{Fd: int32(conversation.Fd())}}
	n, err := unix.Poll(polled, 0)
	return err == nil && n > 0 && polled[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0
}

// What no front of ours asks for.
var (
	errRoot  = errors.New("no process for a mailbox runs as root or in the group of root")
	errFront = errors.New("no process for a mailbox runs as a user of the mail system, or in its groups")
)

// command is the process that a request of a front asks for: its numbers
// are the user and the group; the rest is the name of an account, which may be empty.
func command(request []byte, files []*os.File, ours reserved,
	groupsOf func(uid, gid int, account string) ([]int, error)) (*exec.Cmd, error) {
	if len(request) < 8 || len(request) > 8+maxAccount {
		return nil, errors.New("not a request")
	}
	uid, gid := binary.LittleEndian.Uint32(request), binary.LittleEndian.Uint32(request[4:])
	if uid == 0 || gid == 0 || uid > 1<<31-1 || gid > 1<<31-1 {
		return nil, errRoot
	}
	if slices.Contains(ours.uids, int(uid)) || slices.Contains(ours.gids, int(gid)) {
		return nil, errFront
	}
	groups, err := groupsOf(int(uid), int(gid), string(request[8:]))
	if err != nil {
		return nil, fmt.Errorf("the groups of uid %d: %w", uid, err)
	}
	if slices.Contains(groups, 0) {
		return nil, errRoot
	}
	groups = slices.DeleteFunc(slices.Clone(groups), func(g int) bool { return slices.Contains(ours.gids, g) })
	cmd := exec.Command("/proc/self/exe", SessionVerb)
	cmd.Args[0] = "maildeliver"
	cmd.Env = []string{"PATH=" + callout.SearchPath}
	cmd.Dir = "/"
	cmd.ExtraFiles = files
	// In a session of its own: a program of the user could else type into root's terminal.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: launch.Credential(int(uid), int(gid), groups), Setsid: true}
	return cmd, nil
}

// owners asks the launcher for processes.
type owners struct {
	launcher *launch.Launcher
	groups   *control.Groups
	ours     reserved
}

// Owners returns what starts processes of mailbox owners: the launcher that started this
// process, or itself where it is root; nil where neither is so.
func (p *Processes) Owners() deliver.Owners {
	if p.launcher == nil && os.Geteuid() != 0 {
		return nil
	}
	return owners{p.launcher, p.groups, p.ours}
}

// Start implements deliver.Owners.
func (o owners) Start(uid, gid int, account string, message *os.File) (net.Conn, error) {
	request := binary.LittleEndian.AppendUint32(nil, uint32(uid))
	request = append(binary.LittleEndian.AppendUint32(request, uint32(gid)), account...)
	ours, theirs, err := launch.Pair(unix.SOCK_STREAM)
	if err != nil {
		return nil, err
	}
	if o.launcher == nil {
		again, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", message.Fd()))
		if err != nil {
			return nil, errors.Join(err, ours.Close(), theirs.Close())
		}
		go serve(request, []*os.File{theirs, again}, o.ours, o.groups)
		return ours, nil
	}
	defer theirs.Close()
	if err := o.launcher.Send(request, theirs, message); err != nil {
		ours.Close()
		return nil, err
	}
	return ours, nil
}

// Session is a process of a mailbox's owner. It is not for people to call.
func Session(ctx context.Context) error {
	if os.Geteuid() == 0 {
		return status.UsageError("session is for maildeliver itself, and never for root")
	}
	// The user must neither read nor control the memory of a process that runs for them on bytes
	// from strangers.
	unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	unix.Umask(0o077)
	for _, fd := range []int{conversation, messageFile} {
		unix.CloseOnExec(fd)
	}
	s, err := launch.Open(os.NewFile(conversation, "conversation"))
	if err != nil {
		return status.UsageError("session is for maildeliver itself: %v", err)
	}
	file := os.NewFile(messageFile, "message")
	if file == nil {
		return status.UsageError("session is for maildeliver itself")
	}
	defer file.Close()
	return deliver.Session(ctx, s, file)
}
