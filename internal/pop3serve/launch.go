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
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/auth"
	"paperpath/internal/clock"
	"paperpath/internal/control"
	"paperpath/internal/dir"
	"paperpath/internal/home"
	"paperpath/internal/maillog"
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

// launcherEnv has the number of the front's descriptor for the launcher.
const launcherEnv = "PAPERPATH_LAUNCHER"

// maxRequest bounds a request to the launcher, in bytes.
const maxRequest = 16 << 10

// Launch runs the command line again as the owner of the spool and starts the
// processes that this one asks for, until it ends. done is false where there is
// nothing to launch: the process is not root, or root owns the home.
func Launch(ctx context.Context, h *home.Home) (done bool, err error) {
	if os.Getenv(launcherEnv) != "" && os.Getenv("LISTEN_FDS") != "" {
		os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid())) // systemd meant the launcher
	}
	uid, gid, root := h.Owner()
	if !root {
		return false, nil
	}
	h.Log = maillog.To(h.Stderr, name, h.Clock.Now) // root creates no log file
	ours, theirs, err := socketPair(unix.SOCK_SEQPACKET)
	if err != nil {
		return true, err
	}
	defer ours.Close()
	front, err := startFront(h, uid, gid, theirs)
	theirs.Close()
	if err != nil {
		return true, status.Temp("4.3.5", fmt.Sprintf("cannot run as uid %d, the owner of the spool", uid), err)
	}
	defer passSignals(ctx, front.Process)()
	h.Control.RunProgramsAs(uid, gid) // the owner writes control/users, which may name a program
	l := &launcher{control: h.Control, clock: h.Clock, requests: ours}
	served := make(chan struct{})
	go func() {
		defer close(served)
		l.serve()
	}()
	err = front.Wait()
	<-served
	l.sessions.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return true, &status.Error{Exit: exit.ExitCode()} // it has reported why
	}
	return true, err
}

// startFront runs this program once more, as uid.
func startFront(h *home.Home, uid, gid int, requests *os.File) (*exec.Cmd, error) {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = h.Stdin, h.Stdout, h.Stderr
	n, _ := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		n = 0
		os.Unsetenv("LISTEN_FDS")
	}
	for i := range min(n, 1000) { // the sockets of systemd keep their numbers
		cmd.ExtraFiles = append(cmd.ExtraFiles, os.NewFile(uintptr(3+i), "socket"))
	}
	cmd.Env = append(os.Environ(), launcherEnv+"="+strconv.Itoa(3+len(cmd.ExtraFiles)))
	cmd.ExtraFiles = append(cmd.ExtraFiles, requests)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential(uid, gid),
		AmbientCaps: []uintptr{unix.CAP_NET_BIND_SERVICE}} // for port 110
	return cmd, cmd.Start()
}

func credential(uid, gid int) *syscall.Credential {
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid), Groups: []uint32{uint32(gid)}}
}

// passSignals sends the front the signals that the launcher gets, until stop is
// called.
func passSignals(ctx context.Context, front *os.Process) (stop func()) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	ctx, cancel := context.WithCancel(ctx)
	over := make(chan struct{})
	go func() {
		for {
			select {
			case <-over:
				return
			case <-hangups:
				front.Signal(syscall.SIGHUP)
			case <-ctx.Done():
				front.Signal(syscall.SIGTERM)
				return
			}
		}
	}()
	return func() { close(over); cancel(); signal.Stop(hangups) }
}

// launcher starts processes for mailbox owners.
type launcher struct {
	control  *control.Control
	clock    clock.Clock
	requests *net.UnixConn
	sessions sync.WaitGroup
}

// serve handles requests until the front has ended.
func (l *launcher) serve() {
	for {
		j, files, err := receive(l.requests)
		if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || len(files) != 2 {
			closeFiles(files)
			continue
		}
		l.sessions.Go(func() {
			defer closeFiles(files)
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
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential(uid, gid)}
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
