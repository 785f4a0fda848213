package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"paperpath/internal/dsn"
	"paperpath/internal/explain"
	"paperpath/internal/program"
	"paperpath/internal/route"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

func mailroute() program.Program {
	asJSON := []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "print one JSON object a line"}}
	return program.Program{
		Name: "mailroute", Usage: "Say where mail for an address goes, and why.",
		Operands: "address ...", Flags: asJSON, Action: ask,
		Verbs: []program.Verb{
			{Name: "run", Usage: "route all that is due in route/, then exit", Action: work(false)},
			{Name: "watch", Usage: "route what is due and what comes", Action: work(true)},
			{Name: "explain", Usage: "print every decision on the way", Operands: "address ...",
				Flags: asJSON, Action: tell},
		},
	}
}

// ask prints where each address goes.
func ask(_ context.Context, f *program.Frame, c *cli.Context) error {
	return each(c.Args().Slice(), func(address string) error {
		answer, err := route.Ask(f.Control, address, nil)
		if failed := answer.Write(f.Stdout, c.Bool("json")); failed != nil {
			return failed
		}
		return err
	})
}

// tell prints the decisions for each address.
func tell(_ context.Context, f *program.Frame, c *cli.Context) error {
	return each(c.Args().Slice(), func(address string) error {
		var trail explain.Trail
		_, err := route.Ask(f.Control, address, &trail)
		if failed := trail.Write(f.Stdout, c.Bool("json")); failed != nil {
			return failed
		}
		return err
	})
}

// each asks about all addresses and returns the error that weighs most: one
// that says nothing about an address before one that does.
func each(addresses []string, do func(string) error) error {
	if len(addresses) == 0 {
		return status.UsageError("no address (see mailroute --help)")
	}
	var worst error
	for _, a := range addresses {
		if err := do(a); worst == nil || status.Exit(err) > status.Exit(worst) {
			worst = err
		}
	}
	return worst
}

// work is the run and the watch verb.
func work(stay bool) program.Action {
	return func(ctx context.Context, f *program.Frame, c *cli.Context) error {
		if c.Args().Present() {
			return status.UsageError("unexpected operand %q", c.Args().First())
		}
		workers, err := f.Control.Concurrency(f.Name, 4)
		if err != nil {
			return err
		}
		settler := &dsn.Settler{Control: f.Control, Log: f.Log, Now: f.Clock.Now, Home: f.Home}
		stage := &route.Stage{Control: f.Control, Settle: settler.Settle, Now: f.Clock.Now}
		return f.Work(ctx, &spool.Runner{Inbox: spool.Route, Handle: stage.Handle, Workers: workers}, stay)
	}
}
