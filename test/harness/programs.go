// Package harness contains what the tests of the built programs and the
// demonstration share: building, a home, a running system, a small SMTP client, a
// small POP3 client, and recording SMTP sinks. It does not import testing.
package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Programs is a directory that holds the built programs.
type Programs string

// Build returns the programs in $PAPERPATH_BIN if that is set; otherwise it builds them
// into dir as the Makefile does.
func Build(dir string) (Programs, error) {
	if bin := os.Getenv("PAPERPATH_BIN"); bin != "" {
		abs, err := filepath.Abs(bin)
		return Programs(abs), err
	}
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-tags", "urfave_cli_no_docs",
		"-o", dir+string(filepath.Separator), "paperpath/cmd/...")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	for _, name := range []string{"mailq", "newaliases"} {
		if err := os.Symlink("mailsubmit", filepath.Join(dir, name)); err != nil {
			return "", err
		}
	}
	return Programs(dir), nil
}

// Path returns the path of the program name.
func (p Programs) Path(name string) string { return filepath.Join(string(p), name) }

// Env returns the environment of a process that works in home with these
// programs first in PATH.
func (p Programs) Env(home string) []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "PATH=") && !strings.HasPrefix(kv, "PAPERPATH_") {
			env = append(env, kv)
		}
	}
	return append(env, "PATH="+string(p)+":"+os.Getenv("PATH"), "PAPERPATH_HOME="+home)
}

// Result is what a finished program left.
type Result struct {
	Stdout, Stderr string
	Status         int           // exit status, -1 for a signal
	CPU            time.Duration // user and system time
}

// Run runs a program of p in home to its end and returns what it said. An
// error is only returned where the program could not be run at all.
func (p Programs) Run(home string, stdin io.Reader, name string, args ...string) (Result, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	path := name
	if !strings.Contains(name, "/") {
		path = p.Path(name)
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = p.Env(home)
	cmd.Stdin = stdin
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return Result{}, err
	}
	st := cmd.ProcessState
	return Result{out.String(), errs.String(), st.ExitCode(), st.UserTime() + st.SystemTime()}, nil
}

// Must is Run for a program that has to succeed: any other exit status is an
// error with what it said.
func (p Programs) Must(home string, stdin io.Reader, name string, args ...string) (string, error) {
	r, err := p.Run(home, stdin, name, args...)
	if err == nil && r.Status != 0 {
		err = fmt.Errorf("exit status %d\n%s%s", r.Status, r.Stdout, r.Stderr)
	}
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return r.Stdout, nil
}

// Main is the TestMain of a package that runs the programs: it builds them
// where need be, sets *p, runs the tests and returns the exit status.
func Main(tests interface{ Run() int }, p *Programs) int {
	dir, err := os.MkdirTemp("", "paperpath-bin")
	if err == nil {
		defer os.RemoveAll(dir)
		*p, err = Build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return tests.Run()
}
