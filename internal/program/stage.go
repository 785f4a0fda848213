package program

import (
	"context"
	"errors"

	"github.com/urfave/cli/v2"

	"paperpath/internal/control"
	"paperpath/internal/home"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// Stage describes a program's work on its inbox.
type Stage struct {
	Inbox spool.Inbox
	Does  string // what it does, for the help: "route"
	Make  func(h *home.Home) (*spool.Runner, error)

	StartsPrograms bool // of users
	Brief          bool // watch: attempts are so short that one processor most often does

	// Launch, if it is not nil, gives up root: done says that another process did the work.
	Launch func(ctx context.Context, h *home.Home) (done bool, err error)
}

// Verbs returns the verbs run and watch.
func (s Stage) Verbs() []Verb {
	return []Verb{
		{Name: "run", Usage: s.Does + " all that is due in " + string(s.Inbox) + "/, then exit",
			Action: s.work(false),
			Kind:   Server, StartsPrograms: s.StartsPrograms, KeepRoot: s.Launch != nil},
		{Name: "watch", Usage: s.Does + " what is due and what arrives, and keep running",
			Action: s.work(true),
			Kind:   Server, StartsPrograms: s.StartsPrograms, KeepRoot: s.Launch != nil},
	}
}

func (s Stage) work(stay bool) Action {
	return func(ctx context.Context, h *home.Home, c *cli.Context) error {
		if c.Args().Present() {
			return status.UsageError("unexpected operand %q (see %s --help)", c.Args().First(), c.App.Name)
		}
		if s.Launch != nil {
			if done, err := s.Launch(ctx, h); done || err != nil {
				return err
			}
		}
		CollectSeldom(spareOfRunner)
		if stay {
			return s.watch(ctx, h)
		}
		r, err := s.runner(h)
		if err == nil {
			err = h.Confine(false)
		}
		if err != nil {
			return err
		}
		if r.Runtime, err = h.Control.Runtime(); err != nil {
			return err
		}
		return unlessCanceled(r.Run(ctx))
	}
}

// watch works until ctx ends. At SIGHUP it reads again what is read at the start, and
// begins anew with that once the attempts under way have ended.
func (s Stage) watch(ctx context.Context, h *home.Home) error {
	r, err := s.runner(h)
	if err == nil {
		err = h.Confine(true)
	}
	var due func(int)
	if s.Brief {
		due = processors()
	}
	for err == nil {
		r.Due = due
		var next *spool.Runner
		turn, cancel := context.WithCancel(ctx)
		stop := h.OnHangup(turn, func() (err error) {
			made, err := s.runner(h)
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

// runner makes the stage's runner, with everything that it needs from the home.
func (s Stage) runner(h *home.Home) (*spool.Runner, error) {
	// For the entries that a runner knew of before: one that it notices later is never
	// decided by an older look.
	h.Control.Trust(control.Moment)
	h.Control.Anew()
	r, err := s.Make(h)
	if err != nil {
		return nil, err
	}
	r.Inbox = s.Inbox
	if r.Workers == nil {
		if r.Workers, err = h.Concurrency(h.Name); err != nil {
			return nil, err
		}
	}
	if r.Spool, err = h.Spool(); err != nil {
		return nil, err
	}
	r.Ready = h.Ready
	r.Retry, r.Holdtime = h.Control.Retry, h.Control.Holdtime
	r.Ages, r.Share = h.AgesCount, h.Share
	r.Digest = h.Settler().Digest
	r.Noticed = h.Control.Anew
	return r, nil
}
