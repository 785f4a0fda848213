package home

import (
	"context"
	"io"

	"paperpath/internal/status"
)

// Input returns standard input for a program that reads a message or a password from
// it. Once ctx has ended, reading fails instead of reporting the end of the input, so
// that half a message is never taken for a whole one. The error is temporary.
func (h *Home) Input(ctx context.Context) io.Reader {
	return &interruptible{ctx: ctx, in: h.Stdin}
}

// interruptible is a Reader whose reads end with ctx. A system call that is still
// blocked then is abandoned, together with its buffer: on a terminal or an inherited
// pipe it cannot be interrupted.
type interruptible struct {
	ctx context.Context
	in  io.Reader
	buf []byte
}

type readResult struct {
	n   int
	err error
}

func (r *interruptible) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, r.interrupted()
	}
	if len(r.buf) < len(p) {
		r.buf = make([]byte, len(p))
	}
	buf := r.buf[:len(p)]
	done := make(chan readResult, 1)
	go func() { done <- r.wait(buf) }()
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

func (r *interruptible) wait(buf []byte) (res readResult) {
	defer status.Catch(&res.err)
	res.n, res.err = r.in.Read(buf)
	return res
}

func (r *interruptible) interrupted() error {
	return status.Temp("4.3.0", "interrupted while reading standard input, nothing was stored", r.ctx.Err())
}
