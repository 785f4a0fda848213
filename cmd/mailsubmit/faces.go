package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/urfave/cli/v2"

	"paperpath/internal/explain"
	"paperpath/internal/home"
	"paperpath/internal/mailq"
	"paperpath/internal/program"
	"paperpath/internal/route"
	"paperpath/internal/sendmail"
	"paperpath/internal/spool"
	"paperpath/internal/status"
	"paperpath/internal/submit"
)

// accept is the face without a verb. It has not given up root yet.
func accept(ctx context.Context, h *home.Home, c *cli.Context) error {
	what, err := sendmail.Mode(line(c))
	if err != nil {
		return err
	}
	switch what {
	case 's':
		return submit.Batch(ctx, h)
	case 'm':
		o, err := sendmail.Parse(line(c))
		if err != nil {
			return err
		}
		return submit.Message(ctx, h, o)
	}
	if err := h.GiveUpRoot(); err != nil {
		return err
	}
	switch what {
	case 'p':
		return listQueue(ctx, h, c)
	case 'i':
		return newaliases(ctx, h, c)
	case 'v':
		return verify(h, c)
	}
	return runQueue(ctx, h, c.String("q"))
}

// listQueue is mailq, and sendmail -bp.
func listQueue(_ context.Context, h *home.Home, c *cli.Context) error {
	sp, err := ownSpool(h)
	if err != nil {
		return err
	}
	program.CollectSeldom(program.SpareOfList)
	if c.Bool("json") {
		return mailq.JSON(sp, h.Stdout)
	}
	return mailq.List(sp, h.Stdout, h.Clock.Now())
}

// ownSpool opens the spool for its owner.
func ownSpool(h *home.Home) (*spool.Spool, error) {
	sp, err := h.Spool()
	if errors.Is(err, os.ErrPermission) {
		return nil, &status.Error{Exit: status.NotAllowed, Err: err,
			Text: "only the owner of the spool may read it"}
	}
	return sp, err
}

// newaliases builds nothing, because aliases are read at each use. It reports whether
// they are valid, and warns of targets that are unknown.
func newaliases(_ context.Context, h *home.Home, _ *cli.Context) error {
	if err := spool.CheckMark(filepath.Join(h.Dir, "spool")); err != nil {
		return err
	}
	if err := h.Control.CheckAliases(); err != nil {
		return err
	}
	for _, f := range route.UnknownTargets(h.Control, nil) {
		fmt.Fprintln(h.Stderr, "newaliases: warning: "+f.String())
	}
	_, err := fmt.Fprintln(h.Stdout, "control/aliases is valid (it is read at each use)")
	return err
}

// verify prints where addresses lead, as mailroute explain does.
func verify(h *home.Home, c *cli.Context) error {
	if !c.Args().Present() {
		return status.UsageError("-bv needs addresses to verify")
	}
	return program.Explain(h, c, func(address string, t *explain.Trail) error {
		_, err := route.Ask(h.Control, "", address, t)
		return err
	})
}

// runQueue is sendmail -q: the selected deferred entries become due, and each stage
// runs once. If an inbox is being watched, its watcher attempts at once what has
// become due.
func runQueue(ctx context.Context, h *home.Home, value string) error {
	selection, due, err := mailq.ParseSelection(value)
	if err != nil {
		return err
	}
	sp, err := ownSpool(h)
	if err != nil {
		return err
	}
	if !due {
		if err := mailq.Flush(sp, selection); err != nil {
			return err
		}
	}
	for _, stage := range []string{"mailcheck", "mailroute", "maildeliver", "mailrelay"} {
		if err := runStage(ctx, h, stage); err != nil {
			return err
		}
	}
	return nil
}

func runStage(ctx context.Context, h *home.Home, stage string) error {
	path, err := sibling(stage)
	if err != nil {
		return status.Temp("4.3.5", "cannot run the queue", err)
	}
	cmd := exec.CommandContext(ctx, path, "run", "--home", h.Dir)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Stderr = h.Stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return status.Temp("4.3.0", fmt.Sprintf("%s run: %v", stage, exit), nil)
	}
	if err != nil {
		return status.Temp("4.3.0", "run "+stage, err)
	}
	return nil
}

// sibling finds a program next to this one, then in PATH.
func sibling(name string) (string, error) {
	if self, err := os.Executable(); err == nil {
		path := filepath.Join(filepath.Dir(self), name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return exec.LookPath(name)
}
