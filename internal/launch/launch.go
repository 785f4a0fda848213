// Package launch runs a program that was started as root as two kinds of processes: the
// launcher stays root and starts processes of other users, and does nothing else; the front runs
// as the program's user (home.Home.User), and does what the program is for. It asks the launcher over a
// socket, with descriptors.
package launch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"paperpath/internal/home"
	"paperpath/internal/maillog"
	"paperpath/internal/rights"
	"paperpath/internal/status"
)

// launcherEnv has the number of the front's descriptor for the launcher.
const launcherEnv = "PAPERPATH_LAUNCHER"

// Front runs the command line again as the program's user, with these capabilities, and
// serve beside it, which gets what the front asks for and ends once the front has ended. done is
// false where there is nothing to launch: the process is not root, or root owns the home.
func Front(ctx context.Context, h *home.Home, caps []uintptr, serve func(requests *Socket)) (done bool, err error) {
	if os.Getenv(launcherEnv) != "" && os.Getenv("LISTEN_FDS") != "" {
		os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid())) // systemd meant the launcher
	}
	u, root, err := h.User()
	if err != nil {
		return true, status.Temp("4.3.5", "cannot run as the user of "+h.Name, err)
	}
	if !root {
		return false, nil
	}
	defer func(log *maillog.Log) { h.Log = log }(h.Log)
	h.Log = maillog.To(h.Stderr, h.Name, h.Clock.Now) // root creates no log file
	closeOnExec()
	ours, theirs, err := Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		return true, err
	}
	defer ours.Close()
	front, err := startFront(h, u, caps, theirs)
	theirs.Close()
	if err != nil {
		return true, status.Temp("4.3.5", fmt.Sprintf("cannot run as uid %d, the user of %s in this home", u.UID, h.Name), err)
	}
	defer passSignals(ctx, front.Process)()
	h.Control.RunProgramsAs(u.UID, u.GID) // control/users may name one, and it is not root who writes it
	served := make(chan struct{})
	go func() {
		defer close(served)
		serve(ours)
	}()
	err = front.Wait()
	<-served
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return true, &status.Error{Exit: exit.ExitCode()} // it has reported why
	}
	return true, err
}

// closeOnExec keeps the files that we were started with from the processes that we start: whoever
// started us may have left any of them open.
func closeOnExec() {
	if unix.CloseRange(3, ^uint(0)>>33, unix.CLOSE_RANGE_CLOEXEC) == nil {
		return
	}
	list, _ := os.ReadDir("/proc/self/fd")
	for _, f := range list {
		if fd, err := strconv.Atoi(f.Name()); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
}

// startFront runs this program once more, as u.
func startFront(h *home.Home, u rights.User, caps []uintptr, requests *os.File) (*exec.Cmd, error) {
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
	// It gets the signals of a terminal through us, and cannot type there: root does.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: Credential(u.UID, u.GID, u.Groups), AmbientCaps: caps, Setsid: true}
	return cmd, cmd.Start()
}

// Credential is a user, with groups beside gid.
func Credential(uid, gid int, groups []int) *syscall.Credential {
	c := &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid), Groups: []uint32{uint32(gid)}}
	for _, g := range groups {
		if g != gid {
			c.Groups = append(c.Groups, uint32(g))
		}
	}
	return c
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

// Launcher is a front's connection to its launcher.
type Launcher struct {
	*Socket
	gone chan struct{} // closed when the launcher has ended
}

// Started returns the connection to the launcher that started this process, nil for none.
func Started() (*Launcher, error) {
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
	s, err := Open(os.NewFile(uintptr(fd), "launcher"))
	if err != nil {
		return nil, err
	}
	l := &Launcher{s, make(chan struct{})}
	go func() {
		defer close(l.gone)
		s.Read(make([]byte, 1)) // it never sends anything
	}()
	return l, nil
}

// Gone is closed when the launcher has ended.
func (l *Launcher) Gone() <-chan struct{} { return l.gone }

// Lifetime ends ctx when the launcher ends: without it the mailboxes of others cannot be
// served.
func (l *Launcher) Lifetime(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if l != nil {
		go func() {
			select {
			case <-l.gone:
				cancel()
			case <-ctx.Done():
			}
		}()
	}
	return ctx, cancel
}
