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

	StartsPrograms bool // of users
}

// Verbs returns the verbs run and watch.
func (s Stage) Verbs() []Verb {
	return []Verb{
		{Name: "run", Usage: s.Does + " all that is due in " + string(s.Inbox) + "/, then exit", Action: s.work(false),
			Kind: Server, StartsPrograms: s.StartsPrograms},
		{Name: "watch", Usage: s.Does + " what is due and what comes, and stay", Action: s.work(true),
			Kind: Server, StartsPrograms: s.StartsPrograms},
	}
}

func (s Stage) work(stay bool) Action {
	return func(ctx context.Context, f *Frame, c *cli.Context) error {
		if c.Args().Present() {
			return status.UsageError("unexpected operand %q (see %s --help)", c.Args().First(), c.App.Name)
		}
		if stay {
			return s.watch(ctx, f)
		}
		r, err := s.runner(f)
		if err != nil {
			return err
		}
		if r.Runtime, err = f.Control.Runtime(); err != nil {
			return err
		}
		return unlessCanceled(r.Run(ctx))
	}
}

// watch works for as long as ctx lives. At SIGHUP it begins anew with what is
// read at the start, when the attempts under way have ended.
func (s Stage) watch(ctx context.Context, f *Frame) error {
	r, err := s.runner(f)
	for err == nil {
		var next *spool.Runner
		turn, cancel := context.WithCancel(ctx)
		stop := f.OnHangup(turn, func() (err error) {
			made, err := s.runner(f)
			if err == nil {
				next = made
				cancel()
			}
			return err
		})
		r.Attempts = ctx
		err = unlessCanceled(r.Watch(turn))
		cancel()
		stop()
		if next == nil || ctx.Err() != nil {
			break
		}
		r = next
	}
	return err
}

func unlessCanceled(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// runner makes the stage's runner, with all that the frame knows.
func (s Stage) runner(f *Frame) (*spool.Runner, error) {
	r, err := s.Make(f)
	if err != nil {
		return nil, err
	}
	r.Inbox = s.Inbox
	if r.Workers, err = f.Concurrency(f.Name, s.Workers); err != nil {
		return nil, err
	}
	if r.Spool, err = f.Spool(); err != nil {
		return nil, err
	}
	r.Log, r.Ready = f.Log, f.Ready
	r.Retry, r.Holdtime = f.Control.Retry, f.Control.Holdtime
	r.Ages, r.Share = f.AgesCount, f.share
	r.Digest = f.Settler().Digest
	return r, nil
}

// share is what hold/ may have.
func (f *Frame) share() (s spool.Share, err error) {
	if s.Bytes, err = f.Control.Holdbytes(); err != nil {
		return s, err
	}
	s.Count, err = f.Control.Holdcount()
	s.Stranger = f.Settler().Unverified
	return s, err
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
