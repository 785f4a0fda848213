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

// Started as root pop3d is three kinds of processes, of the same program:
//
//   - the launcher, which stays root: it opens nothing of anybody's, reads
//     control/users, and starts the others. No client speaks with it.
//   - the front, as the owner of the spool: the listeners, TLS, and each session
//     until the login. It is what pop3d without root is, and serves the virtual
//     users, whose mailboxes are its own, itself.
//   - a session for each login to a mailbox of another owner, as that owner.
//     The front passes on what it and the client say.
//
// The front asks the launcher over a socket, a request for each session, with
// two descriptors: the session's end of the conversation, and a pipe for its
// events.

// launcherEnv names the front's descriptor of the launcher.
const launcherEnv = "PAPERPATH_LAUNCHER"

// maxRequest bounds a request to the launcher, in bytes.
const maxRequest = 16 << 10

// Launch runs the command line again as the owner of the spool and starts the
// sessions that it asks for, until it ends. done is false where there is
// nothing to launch: the process is not root, or the home is root's.
func Launch(ctx context.Context, h *home.Home) (done bool, err error) {
	if os.Getenv(launcherEnv) != "" && os.Getenv("LISTEN_FDS") != "" {
		os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid())) // systemd meant the launcher
	}
	uid, gid, root := h.Owner()
	if !root {
		return false, nil
	}
	h.Log = maillog.To(h.Stderr, h.Name, h.Clock.Now) // root makes no log file
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
	h.Control.RunProgramsAs(uid, gid) // control/users is the owner's, and may name one
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
		return true, &status.Error{Exit: exit.ExitCode()} // it has said why
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

// passSignals tells the front what the launcher is told, and returns what ends
// that.
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

// serve carries out requests until the front is gone.
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
			if err != nil && !errors.As(err, new(*exec.ExitError)) { // nothing was said yet
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

// ownerOf returns whose mailbox a row's is: the uid in it, else the owner of the
// home, if nobody else can put another one's directory in its place. root's are
// refused: whoever wants them puts an alias before root.
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
				return 0, 0, fmt.Errorf("%s: whose mailbox it is cannot be told (write the uid into the row): %w",
					user.Where, err)
			}
		}
		if gid < 0 {
			gid = int(st.Gid)
		}
	}
	if uid == 0 {
		return 0, 0, fmt.Errorf("%s: the mailbox is root's: %w", user.Where, pop3.ErrPermanent)
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
	cmd.Args[0] = "pop3d"
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
