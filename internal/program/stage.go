package program

import (
	"context"
	"errors"

	"github.com/urfave/cli/v2"

	"paperpath/internal/dsn"
	"paperpath/internal/explain"
	"paperpath/internal/listen"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// Stage describes a program's work at its inbox.
type Stage struct {
	Inbox   spool.Inbox
	Does    string // what it does, for the help: "route"
	Workers int    // entries at work at a time, where control/concurrency does not say
	Make    func(f *Frame) (*spool.Runner, error)
}

// Verbs returns the verbs run and watch.
func (s Stage) Verbs() []Verb {
	return []Verb{
		{Name: "run", Usage: s.Does + " all that is due in " + string(s.Inbox) + "/, then exit", Action: s.work(false)},
		{Name: "watch", Usage: s.Does + " what is due and what comes, and stay", Action: s.work(true)},
	}
}

func (s Stage) work(stay bool) Action {
	return func(ctx context.Context, f *Frame, c *cli.Context) error {
		if c.Args().Present() {
			return status.UsageError("unexpected operand %q (see %s --help)", c.Args().First(), c.App.Name)
		}
		r, err := s.Make(f)
		if err != nil {
			return err
		}
		r.Inbox = s.Inbox
		if r.Workers, err = f.Control.Concurrency(f.Name, s.Workers); err != nil {
			return err
		}
		return f.work(ctx, r, stay)
	}
}

// work runs a stage over its inbox: once, or for as long as ctx lives. What
// the frame knows is filled in.
func (f *Frame) work(ctx context.Context, r *spool.Runner, stay bool) error {
	sp, err := f.Spool()
	if err != nil {
		return err
	}
	r.Spool, r.Log, r.Ready = sp, f.Log, f.Ready
	r.Retry, r.Holdtime = f.Control.Retry, f.Control.Holdtime
	if stay {
		err = r.Watch(ctx)
	} else if r.Runtime, err = f.Control.Runtime(); err == nil {
		err = r.Run(ctx)
	}
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// Ready tells the service manager, if there is one, that the program serves.
func (f *Frame) Ready() {
	if err := listen.NotifyReady(); err != nil {
		f.Log.Trouble("", "notify", err)
	}
}

// Settler returns what decides about failed recipients.
func (f *Frame) Settler() *dsn.Settler {
	return &dsn.Settler{Control: f.Control, Log: f.Log, Now: f.Clock.Now, Home: f.Home}
}

// Explain prints the decisions for each operand, as text or with --json. The
// error is the one with the highest exit status.
func (f *Frame) Explain(c *cli.Context, decide func(address string, t *explain.Trail) error) error {
	if !c.Args().Present() {
		return status.UsageError("no address (see %s --help)", c.App.Name)
	}
	var worst error
	for _, address := range c.Args().Slice() {
		var trail explain.Trail
		err := decide(address, &trail)
		if failed := trail.Write(f.Stdout, c.Bool("json")); failed != nil {
			return failed
		}
		if worst == nil || status.Exit(err) > status.Exit(worst) {
			worst = err
		}
	}
	return worst
}
