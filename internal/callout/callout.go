// Package callout hands a message to a program of somebody else on its standard input,
// and waits for its exit status within limits of time, memory and output.
package callout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Call is one call of a program. There is no shell: the arguments are passed on as they
// are, and nothing of a message or an address should be among them.
type Call struct {
	Path  string
	Args  []string // without the program's own name
	Env   []string // all of it, beside PATH
	Dir   string
	Input *io.SectionReader

	Time   time.Duration // then the program is killed, with all that it has started
	Grace  time.Duration // how long it may go on once the context has ended
	CPU    time.Duration // that each of its processes may use; 0: no limit
	Memory uint64        // bytes of data that each of its processes may have
	Output int           // bytes that it may write, to standard output and standard error together
	Answer int           // bytes of an answer on standard output, which is kept apart and whole; 0: there is none
}

// Result is what became of a call whose program ended by itself.
type Result struct {
	Exit   int
	Output string // the beginning of what it wrote
	Answer string // on standard output, if the call has one
	Stays  bool   // something that it has started keeps its output open
}

// kept is how much output a Result has, beside an answer.
const kept = 2 << 10

// linger is how long a program's output stays open after its end, for what is still in
// the pipe.
const linger = time.Second

// SearchPath is PATH for a program: fixed, since nobody's own is known.
const SearchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Run runs the program. An error means that there is no exit status to go by: the program
// did not start, was killed by us or a signal, or the message could not be read.
//
// The message is passed on completely, as a copy, even if we are killed meanwhile. The
// program need not read it, though: its exit status alone says what became of it.
func (c Call) Run(ctx context.Context) (Result, error) {
	ctx, cancel := c.limits(ctx)
	defer cancel(nil)
	out, answer := c.output(c.Output, kept, cancel), c.output(c.Answer, c.Answer, cancel)
	cmd := exec.CommandContext(ctx, c.Path, c.Args...)
	cmd.Env, cmd.Dir = append([]string{"PATH=" + SearchPath}, c.Env...), c.Dir
	cmd.Stdout, cmd.Stderr = out, out // one writer, so both go through one pipe
	if c.Answer > 0 {
		cmd.Stdout = answer
	}
	// In a session of its own: it could else type into the terminal of whoever started us.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = linger
	message, err := copyOf(c.Input)
	if err != nil {
		return Result{}, err
	}
	cmd.Stdin = message
	err = cmd.Start()
	message.Close()
	if err != nil {
		return Result{}, plain(err)
	}
	c.confine(cmd.Process.Pid)
	err = cmd.Wait()
	r, err := out.result(ctx, cmd.ProcessState, err)
	r.Answer = string(answer.kept)
	if err == nil && answer.n > answer.most { // it ended before it could be killed
		return r, answer.tooMuch()
	}
	return r, err
}

// output takes what the program writes, up to most bytes, and keeps the beginning.
func (c Call) output(most, keep int, cancel context.CancelCauseFunc) *output {
	o := &output{most: most, keep: keep}
	o.over = func() { cancel(o.tooMuch()) }
	return o
}

func (o *output) tooMuch() error { return fmt.Errorf("it wrote more than %d bytes", o.most) }

// limits returns a context that ends when the program has to, with the cause.
func (c Call) limits(ctx context.Context) (context.Context, context.CancelCauseFunc) {
	run, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	late := time.AfterFunc(c.Time, func() { cancel(fmt.Errorf("it took longer than %v", c.Time)) })
	halt := context.AfterFunc(ctx, func() {
		select {
		case <-time.After(c.Grace):
			cancel(errors.New("stopped while it was running"))
		case <-run.Done():
		}
	})
	return run, func(cause error) {
		cancel(cause)
		if cause == nil { // it is over
			late.Stop()
			halt()
		}
	}
}

// confine bounds what the program's processes may use. It has begun already, but cannot
// have done much.
func (c Call) confine(pid int) {
	if c.Memory > 0 {
		limit := &unix.Rlimit{Cur: c.Memory, Max: c.Memory}
		_ = unix.Prlimit(pid, unix.RLIMIT_DATA, limit, nil) // it may have ended
	}
	if c.CPU > 0 {
		seconds := uint64((c.CPU + time.Second - 1) / time.Second)
		_ = unix.Prlimit(pid, unix.RLIMIT_CPU, &unix.Rlimit{Cur: seconds, Max: seconds + 1}, nil)
	}
}

// output keeps the beginning of what a program writes, and ends a program that writes too
// much.
type output struct {
	kept []byte
	keep int // bytes of it
	n    int
	most int
	over func()
}

// Write implements io.Writer. It takes everything, or the program would hear of a full
// pipe instead of its end.
func (o *output) Write(p []byte) (int, error) {
	o.kept = append(o.kept, p[:min(len(p), o.keep-len(o.kept))]...)
	if o.n += len(p); o.n > o.most {
		o.over()
	}
	return len(p), nil
}

// result says how a program ended.
func (o *output) result(ctx context.Context, p *os.ProcessState, err error) (Result, error) {
	r := Result{Exit: p.ExitCode(), Output: string(o.kept), Stays: errors.Is(err, exec.ErrWaitDelay)}
	switch {
	case p.Exited():
		return r, nil
	case context.Cause(ctx) != nil:
		return r, context.Cause(ctx)
	}
	return r, fmt.Errorf("%v", p)
}

// plain is an error of the start without the path, which the caller knows.
func plain(err error) error {
	var of *os.PathError
	if errors.As(err, &of) {
		return of.Err
	}
	return err
}
