package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	programTime   = 10 * time.Second
	programOutput = 64 << 10 // bytes of an answer
)

// programPath is what the environment of programs has, whatever ours has.
const programPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Program is a program that a setting names, with its first arguments.
type Program []string

// parseProgram parses the words after exec: or checkpassword:. There is no shell, so
// there is no quoting.
func parseProgram(s string) (Program, error) {
	p := Program(strings.Fields(s))
	if len(p) == 0 || !filepath.IsAbs(p[0]) {
		return nil, errors.New("the program needs an absolute path")
	}
	return p, nil
}

// check refuses a program that is not there.
func (p Program) check() error {
	if len(p) == 0 {
		return nil
	}
	st, err := os.Stat(p[0])
	if err == nil && (!st.Mode().IsRegular() || st.Mode()&0o111 == 0) {
		err = fmt.Errorf("%s cannot be executed", p[0])
	}
	return err
}

// Run runs the program with further arguments, for at most 10 seconds, and returns
// its standard output and its exit status. The program inherits no open file of ours;
// if fd3 is not nil, it can read that from descriptor 3. An error means that there is
// no exit status.
func (p Program) Run(ctx context.Context, fd3 []byte, args ...string) (out []byte, exit int, err error) {
	return p.run(ctx, running{limit: programTime}, fd3, args...)
}

// running is the user that a program runs as, nil for our own, the longest time that it
// may take, and what its environment has beside PATH.
type running struct {
	as    *syscall.Credential
	limit time.Duration
	env   []string
}

func (p Program) run(ctx context.Context, how running, fd3 []byte, args ...string) (
	out []byte, exit int, err error) {
	ctx, cancel := context.WithTimeout(ctx, how.limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, p[0], append(append([]string(nil), p[1:]...), args...)...)
	stdout := &bounded{max: programOutput}
	// Not our standard error: under inetd that is the client's socket.
	cmd.Stdout, cmd.Stderr = stdout, &bounded{max: 0}
	cmd.Dir = "/"
	cmd.Env = append([]string{programPath}, how.env...)
	// Killing the process group ends whatever the program started too. In a session of its own it
	// cannot type into the terminal of whoever started us.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: how.as}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	if fd3 != nil {
		read, err := filled(fd3)
		if err != nil {
			return nil, 0, err
		}
		defer read.Close()
		cmd.ExtraFiles = []*os.File{read}
	}
	err = cmd.Run()
	var exited *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return nil, 0, fmt.Errorf("%s: no answer within %v", p[0], how.limit)
	case errors.As(err, &exited) && exited.Exited():
		return stdout.kept.Bytes(), exited.ExitCode(), nil
	case err != nil:
		return nil, 0, fmt.Errorf("%s: %w", p[0], plain(err))
	case stdout.over:
		return nil, 0, fmt.Errorf("%s: more than %d bytes of output", p[0], programOutput)
	}
	return stdout.kept.Bytes(), 0, nil
}

// filled returns the read end of a pipe that holds data, which must fit into it.
func filled(data []byte) (*os.File, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	_, err = write.Write(data)
	if closed := write.Close(); err == nil {
		err = closed
	}
	if err != nil {
		read.Close()
		return nil, err
	}
	return read, nil
}

// bounded keeps the first max bytes. It embeds no bytes.Buffer: with the buffer's
// ReadFrom, os/exec would go around Write and its bound.
type bounded struct {
	kept bytes.Buffer
	max  int
	over bool
}

func (b *bounded) Write(p []byte) (int, error) {
	fits := min(len(p), b.max-b.kept.Len())
	b.over = b.over || fits < len(p)
	b.kept.Write(p[:fits])
	return len(p), nil
}
