package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/input"
	"paperpath/internal/options"
	"paperpath/internal/rights"
	"paperpath/internal/sendmail"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// name is what this program is called, and mailsubmit under that name has no verbs.
const name = "sendmail"

// run hands in the message, and returns the exit status.
func run(args []string) int {
	c, ok := caller(args)
	if !ok {
		return become(args)
	}
	rights.Confine()
	err := status.Guard(c.Post)
	var unread sendmail.Unread
	switch {
	case err == nil:
		return status.OK
	case errors.As(err, &unread):
		return become(args)
	}
	return fail(err)
}

// become runs mailsubmit, found beside this program, instead of it.
func become(args []string) int {
	self, err := os.Executable()
	if err == nil {
		path := filepath.Join(filepath.Dir(self), "mailsubmit")
		err = &os.PathError{Op: "exec", Path: path, Err: syscall.Exec(path, args, os.Environ())}
	}
	return fail(status.Temp("4.3.5", "cannot run mailsubmit", err))
}

func fail(err error) int {
	fmt.Fprintf(os.Stderr, "%s: %s\n%s", name, visible.Line(err.Error()), status.Stack(err))
	return status.Exit(err)
}

// caller returns who hands in the message of the command line. ok is false if mailsubmit has to look
// at it.
func caller(args []string) (c *sendmail.Caller, ok bool) {
	line, err := table().Lex(args[1:])
	if err != nil || filepath.Base(args[0]) != name || !usual(line) {
		return nil, false
	}
	if what, err := sendmail.Mode(line); err != nil || what != 'm' {
		return nil, false
	}
	o, err := sendmail.Parse(line)
	if err != nil {
		return nil, false
	}
	at := rights.Here("mailsubmit")
	if at.Find(line.Last("home")) != nil || at.Trust() != nil {
		return nil, false
	}
	return &sendmail.Caller{Options: o, Name: at.Name, Home: at.Dir, Now: time.Now(), Stderr: os.Stderr,
		Stdin: &input.Reader{In: os.Stdin, Context: signals},
		Begun: func() error {
			// What becomes of the message by now is the server's to say. A reader of standard error that
			// has gone is an error of writing.
			signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGPIPE)
			return at.GiveUpRoot()
		}}, true
}

// table has the options of sendmail, and of every program.
func table() options.Table {
	t := options.Table{Optional: sendmail.Optional, Takes: map[string]options.Takes{
		"home": options.One, "now": options.One, "help": options.Nothing, "version": options.Nothing}}
	for _, o := range sendmail.List() {
		t.Takes[o.Name] = o.Takes
	}
	return t
}

// usual reports whether nothing is asked for that mailsubmit alone has: another time, a file of
// recipients, which may be a pipe that can be read once, a standard error that is the client's socket, and
// few files.
func usual(line *options.Line) bool {
	for _, option := range []string{"help", "version", "now", "recipients"} {
		if line.Has(option) {
			return false
		}
	}
	var in unix.Stat_t
	var files unix.Rlimit
	return os.Getenv("PAPERPATH_NOW") == "" &&
		unix.Fstat(0, &in) == nil && in.Mode&unix.S_IFMT != unix.S_IFSOCK &&
		unix.Getrlimit(unix.RLIMIT_NOFILE, &files) == nil && files.Cur >= rights.ManyFiles
}

// signals returns a context that ends on SIGTERM and SIGINT. It is never released: the process ends.
func signals() context.Context {
	ctx, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	return ctx
}
