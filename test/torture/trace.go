package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The tracer runs a program under ptrace(2) and sees the system calls that decoders
// names, of all its threads, in the order in which the kernel takes them. Unlike
// strace's inject it counts over all threads together, so that each n-th call is hit
// exactly once, and it can stop the program at a call for as long as it likes. A
// seccomp filter picks the calls out: most of what a Go program calls is its
// scheduler's, and a stop costs more than the call.

// act says what to do with a call that the program is about to make.
type act struct {
	kill bool
	fail syscall.Errno // 0: it is made
}

// process is a program to be traced.
type process struct {
	path  string
	args  []string
	env   []string
	files [3]*os.File
	as    *syscall.Credential
	limit time.Duration // it is killed after that: it hangs
	began func(pid int) // called once it runs
}

// ended is how the program ended.
type ended struct {
	calls  []*call
	status int            // exit status, -1 for a signal
	signal syscall.Signal // 0 for an exit
	hung   bool
}

// hook sees a call before it is made.
type hook func(c *call) act

// tracer is a thread that traces: ptrace knows threads, not processes.
type tracer struct{ jobs chan func() }

func newTracer() *tracer {
	t := &tracer{jobs: make(chan func())}
	ready := make(chan bool)
	go func() {
		runtime.LockOSThread()
		close(ready)
		for job := range t.jobs {
			job()
		}
	}()
	<-ready
	return t
}

// run traces p to its end.
func (t *tracer) run(p process, h hook) (e ended, err error) {
	done := make(chan bool)
	t.jobs <- func() {
		defer close(done)
		s := &session{hook: h, threads: map[int]*thread{}}
		e, err = s.run(p)
	}
	<-done
	return e, err
}

// session is one traced run.
type session struct {
	hook    hook
	pid     int
	threads map[int]*thread
	calls   []*call
	killed  bool
}

type thread struct {
	begun bool // its first SIGSTOP was seen
	in    *call
	fail  syscall.Errno
}

const (
	syscallStop    = syscall.SIGTRAP | 0x80
	getSyscallInfo = 0x420e
	infoExit       = 2
	infoSeccomp    = 3 // at the entry, picked out by the filter
)

// syscallInfo is struct ptrace_syscall_info.
type syscallInfo struct {
	op   uint8
	_    [3]uint8
	arch uint32
	ip   uint64
	sp   uint64
	nr   uint64 // at the entry; at the exit the value returned
	args [6]uint64
}

func (s *session) run(p process) (ended, error) {
	var fds []uintptr
	for _, f := range p.files {
		fds = append(fds, f.Fd())
	}
	pid, err := syscall.ForkExec(p.path, append([]string{p.path}, p.args...), &syscall.ProcAttr{
		Env: p.env, Files: fds, Sys: &syscall.SysProcAttr{Ptrace: true, Credential: p.as}})
	if err != nil {
		return ended{}, fmt.Errorf("trace %s: %w", p.path, err)
	}
	if p.began != nil {
		p.began(pid)
	}
	s.pid = pid
	s.threads[pid] = &thread{begun: true}
	var ws syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &ws, syscall.WALL, nil); err != nil {
		return ended{}, err
	}
	options := unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK |
		unix.PTRACE_O_TRACEVFORK | unix.PTRACE_O_EXITKILL | unix.PTRACE_O_TRACESECCOMP
	err = unix.PtraceSetOptions(pid, options)
	if err == nil {
		err = install(pid, picker())
	}
	if err != nil {
		syscall.Kill(pid, syscall.SIGKILL)
		syscall.Wait4(pid, &ws, syscall.WALL, nil)
		return ended{}, fmt.Errorf("trace %s: %w", p.path, err)
	}
	unix.PtraceCont(pid, 0)
	hung := time.AfterFunc(p.limit, func() { syscall.Kill(pid, syscall.SIGKILL) })
	e := s.wait()
	e.hung = !hung.Stop()
	return e, nil
}

// wait follows the threads until the last one has ended.
func (s *session) wait() ended {
	e := ended{status: -1}
	for {
		var ws syscall.WaitStatus
		tid, err := syscall.Wait4(-1, &ws, syscall.WALL|unix.WNOTHREAD, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil { // ECHILD: none is left
			e.calls = s.calls
			return e
		}
		switch {
		case ws.Exited() || ws.Signaled():
			delete(s.threads, tid)
			if tid == s.pid && ws.Exited() {
				e.status = ws.ExitStatus()
			} else if tid == s.pid {
				e.signal = ws.Signal()
			}
		case ws.Stopped():
			s.stopped(tid, ws)
		}
	}
}

func (s *session) stopped(tid int, ws syscall.WaitStatus) {
	t := s.threads[tid]
	if t == nil {
		t = &thread{}
		s.threads[tid] = t
	}
	sig := ws.StopSignal()
	switch {
	case sig == syscallStop || ws.TrapCause() == unix.PTRACE_EVENT_SECCOMP:
		s.syscall(tid, t)
		if t.in != nil {
			unix.PtraceSyscall(tid, 0) // up to its exit; ESRCH where it was killed meanwhile
			return
		}
		sig = 0
	case sig == syscall.SIGTRAP: // another event: a new thread
		sig = 0
	case sig == syscall.SIGSTOP && !t.begun:
		t.begun = true
		sig = 0
	}
	unix.PtraceCont(tid, int(sig))
}

// syscall handles the entry to a call or its exit.
func (s *session) syscall(tid int, t *thread) {
	var info syscallInfo
	_, _, no := syscall.Syscall6(syscall.SYS_PTRACE, getSyscallInfo, uintptr(tid),
		unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)), 0, 0)
	if no != 0 {
		return
	}
	switch info.op {
	case infoSeccomp:
		t.in, t.fail = decode(s.pid, tid, info.nr, info.args), 0
		if t.in == nil || s.killed {
			return
		}
		t.in.beside = s.underWay(tid)
		s.calls = append(s.calls, t.in)
		do := s.hook(t.in)
		switch {
		case do.kill: // a call is not made if its thread is killed at the entry
			s.killed = true
			t.in.ret = -int64(unix.EINTR)
			syscall.Kill(s.pid, syscall.SIGKILL)
		case do.fail != 0 && skip(tid) == nil:
			t.fail = do.fail
		}
	case infoExit:
		if t.in == nil {
			return
		}
		t.in.ret = int64(info.nr)
		if t.fail != 0 {
			t.in.ret, t.in.injected = -int64(t.fail), true
			setReturn(tid, t.in.ret)
		}
		t.in.done, t.in = true, nil
	}
}

// underWay returns the calls of other threads than tid that have not ended.
func (s *session) underWay(tid int) (list []*call) {
	for id, t := range s.threads {
		if id != tid && t.in != nil {
			list = append(list, t.in)
		}
	}
	return list
}

var errNoTracer = errors.New("the tracer knows the registers of amd64 alone")

// canTrace says why nothing can be traced here, if so.
func canTrace(t *tracer) error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	e, err := t.run(process{path: "/bin/true", files: [3]*os.File{null, null, null}, limit: patience},
		func(*call) act { return act{} })
	if err == nil && e.status != 0 {
		err = fmt.Errorf("a traced /bin/true ended with %d (%v)", e.status, e.signal)
	}
	if err == nil && !knowsRegisters {
		err = errNoTracer
	}
	return err
}
