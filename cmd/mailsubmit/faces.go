package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/urfave/cli/v2"

	"paperpath/internal/program"
	"paperpath/internal/status"
)

// mailq lists the queue: it becomes mailctl, which knows how.
func mailq(_ context.Context, f *program.Frame, _ *cli.Context) error {
	path, err := sibling("mailctl")
	if err != nil {
		return status.Temp("4.3.5", "cannot list the queue", err)
	}
	err = syscall.Exec(path, []string{"mailctl", "queue", "--home", f.Home}, os.Environ())
	return status.Temp("4.3.5", "cannot run "+path, err)
}

// sibling finds a program beside this one, then in PATH.
func sibling(name string) (string, error) {
	if self, err := os.Executable(); err == nil {
		path := filepath.Join(filepath.Dir(self), name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return exec.LookPath(name)
}

// newaliases has nothing to build: aliases are read when they are used. It
// says whether they are right.
func newaliases(_ context.Context, f *program.Frame, _ *cli.Context) error {
	if _, err := f.Control.Alias("postmaster"); err != nil {
		return err
	}
	_, err := fmt.Fprintln(f.Stdout, "control/aliases is read when it is used; it is right")
	return err
}
