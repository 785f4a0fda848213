// Package input reads standard input, for programs that read a message or a password from it.
package input

import (
	"context"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"paperpath/internal/status"
)

// Reader is a Reader whose reads end with a context. Once that has ended, reading fails instead of
// reporting the end of the input, so that half a message is never taken for a whole one. The error is
// temporary. A system call that is still blocked then is abandoned, together with its buffer: on a
// terminal or an inherited pipe it cannot be interrupted.
type Reader struct {
	In io.Reader

	// Context is asked for when a read has to wait: to watch for signals takes threads, and most
	// input is there already.
	Context func() context.Context

	// Waits is called before a read that waits; it may be nil.
	Waits func()

	ctx context.Context // once there is one
	buf []byte
}

// Until reads in until ctx ends.
func Until(ctx context.Context, in io.Reader) *Reader {
	return &Reader{In: in, Context: func() context.Context { return ctx }, ctx: ctx}
}

type readResult struct {
	n   int
	err error
}

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) {
	if r.ctx != nil && r.ctx.Err() != nil {
		return 0, r.interrupted()
	}
	if !ready(r.In) {
		return r.await(p)
	}
	res := r.read(p)
	if r.ctx != nil && r.ctx.Err() != nil {
		return 0, r.interrupted()
	}
	return res.n, res.err
}

// ready reports whether a file can be read without waiting.
func ready(in io.Reader) (yes bool) {
	f, ok := in.(*os.File)
	if !ok {
		return false
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return false
	}
	err = raw.Control(func(fd uintptr) {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		yes = err == nil && n == 1
	})
	return yes && err == nil
}

// await reads what is not there yet.
func (r *Reader) await(p []byte) (int, error) {
	if r.ctx == nil {
		r.ctx = r.Context()
	}
	if r.Waits != nil {
		r.Waits()
	}
	if len(r.buf) < len(p) {
		r.buf = make([]byte, len(p))
	}
	buf := r.buf[:len(p)]
	done := make(chan readResult, 1)
	go func() { done <- r.read(buf) }()
	select {
	case res := <-done:
		if r.ctx.Err() == nil {
			return copy(p, buf[:res.n]), res.err
		}
	case <-r.ctx.Done():
	}
	r.buf = nil
	return 0, r.interrupted()
}

func (r *Reader) read(buf []byte) (res readResult) {
	defer status.Catch(&res.err)
	res.n, res.err = r.In.Read(buf)
	return res
}

func (r *Reader) interrupted() error {
	return status.Temp("4.3.0", "interrupted while reading standard input, nothing was stored", r.ctx.Err())
}
