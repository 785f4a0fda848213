package mailctl

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"paperpath/internal/clock"
	"paperpath/internal/home"
	"paperpath/internal/maillog"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// service is one command of control/services.
type service struct {
	group *group
	name  string // the command line
	where string // its line in control/services
	path  string
	args  []string
	letGo context.CancelFunc // nil before it is launched

	mu   sync.Mutex
	life serviceLife
}

// same reports whether two lines of control/services are the same service.
func (s *service) same(o *service) bool { return s.path == o.path && slices.Equal(s.args, o.args) }

// supervise runs the service again and again until ctx ends.
func (s *service) supervise(ctx context.Context) {
	// The kernel kills a child when the thread that started it ends, so we keep this
	// thread until the service is done for good.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	wait := s.group.firstWait
	for ctx.Err() == nil {
		begun := time.Now()
		s.group.guard("run "+s.name, func() { s.runOnce(ctx) })
		if time.Since(begun) >= s.group.lastWait {
			wait = s.group.firstWait
		}
		clock.Wait(ctx, wait)
		wait = min(2*wait, s.group.lastWait)
	}
}

// runOnce runs the service until it exits, or stops it when ctx ends.
func (s *service) runOnce(ctx context.Context) {
	n, err := listenNotify(s.group.users)
	if err != nil {
		s.group.log.Trouble("", "listen for "+s.name, err)
		return
	}
	defer n.close()
	s.setSays("")
	cmd := s.command(n.address)
	if err := s.start(cmd); err != nil {
		s.setEnded(err.Error())
		s.group.log.Trouble("", "start "+s.name, err)
		maillog.Say(s.group.stderr, fmt.Sprintf("mailctl: %s: %s\n", s.where, visible.Line(err.Error())))
		return
	}
	s.group.log.Started(s.name, cmd.Process.Pid)
	done, heard := make(chan struct{}), make(chan struct{})
	go s.group.guard("await "+s.name, func() {
		defer close(heard)
		n.hear(s.setSays, func() { s.setReady(cmd.Process) })
	})
	go s.group.guard("stop "+s.name, func() { s.stopAtEnd(ctx, cmd.Process, done) })
	err = cmd.Wait()
	close(done)
	n.end()
	<-heard // its last words too
	s.exited(ctx, cmd, err)
}

// command is the service's process: it has the home and the readiness socket in its
// environment, nothing on standard input, and our standard error for both outputs. It
// has its own session, so that signals of a terminal reach it only through us, and it cannot type there.
func (s *service) command(notify string) *exec.Cmd {
	cmd := exec.Command(s.path, s.args...)
	cmd.Env = s.group.environment(notify)
	cmd.Stdout, cmd.Stderr = s.group.stderr, s.group.stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	return cmd
}

// start starts cmd as the user that it has to run as.
func (s *service) start(cmd *exec.Cmd) error {
	switch {
	case !s.group.lent:
		return cmd.Start()
	case isOurs(s.path):
		return home.StartAsRoot(cmd)
	}
	return home.StartAsOwner(cmd)
}

// stopAtEnd ends the process when ctx ends: first SIGTERM, and after the grace period
// SIGKILL for everything left of its group.
func (s *service) stopAtEnd(ctx context.Context, p *os.Process, done <-chan struct{}) {
	select {
	case <-done:
		return
	case <-ctx.Done():
	}
	s.signal(p, syscall.SIGTERM)
	timer := time.NewTimer(s.group.grace)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		s.asRoot(func() error { return syscall.Kill(-p.Pid, syscall.SIGKILL) })
	}
}

// signal sends a signal to the service. One that has ended meanwhile needs none.
func (s *service) signal(p *os.Process, sig syscall.Signal) {
	s.asRoot(func() error { return p.Signal(sig) })
}

// asRoot calls do as root where root is lent: a service may have become a user of its own.
func (s *service) asRoot(do func() error) {
	call := do
	if s.group.lent {
		call = func() error { return home.AsRoot(do) }
	}
	_ = call()
}

// exited reports how the service ended.
func (s *service) exited(ctx context.Context, cmd *exec.Cmd, err error) {
	how := "exit status 0"
	if err != nil {
		how = err.Error()
	}
	s.setEnded(how)
	s.group.log.Exited(s.name, cmd.Process.Pid, how)
	if ctx.Err() != nil {
		return
	}
	maillog.Say(s.group.stderr, fmt.Sprintf("mailctl: %s: %s: %s\n", s.where, visible.Line(s.name), how))
	var exit *exec.ExitError
	var never error
	switch {
	case !errors.As(err, &exit):
	case exit.ExitCode() == status.Usage:
		never = status.Temp("4.3.5", fmt.Sprintf("%s: %s rejects its command line: %q", s.where, s.path,
			s.name), nil)
	case exit.ExitCode() == status.NotAllowed:
		never = &status.Error{Exit: status.NotAllowed,
			Text: fmt.Sprintf("%s: %s is not allowed to do its work", s.where, s.name)}
	}
	if never == nil {
		return
	}
	select {
	case s.group.broken <- never:
	default:
	}
}
