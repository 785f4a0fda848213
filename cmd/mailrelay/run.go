package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v2"

	"paperpath/internal/dsn"
	"paperpath/internal/explain"
	"paperpath/internal/program"
	"paperpath/internal/relay"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

func mailrelay() program.Program {
	via := &cli.StringFlag{Name: "via", Usage: "send to `HOST[:PORT]`, whatever control/routes and the MX say"}
	return program.Program{
		Name: "mailrelay", Usage: "Send a message to other hosts by SMTP.",
		Operands: "[address ...] < message",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "from", Usage: "the reverse path `ADDRESS`; empty is the null one"},
			&cli.StringSliceFlag{Name: "to", Usage: "a recipient's `ADDRESS`, as an operand is"},
			via,
		},
		Action: one,
		Verbs: []program.Verb{
			{Name: "run", Usage: "send all that is due in relay/, then exit", Action: work(false)},
			{Name: "watch", Usage: "send what is due and what comes", Action: work(true)},
			{Name: "explain", Usage: "say through which hosts mail for an address goes, and why", Operands: "address ...",
				Flags:  []cli.Flag{via, &cli.BoolFlag{Name: "json", Usage: "print one JSON object a line"}},
				Action: tell},
		},
	}
}

// newRelay returns the relay of the frame, with --via where it is given.
func newRelay(f *program.Frame, c *cli.Context) (*relay.Relay, error) {
	settler := &dsn.Settler{Control: f.Control, Log: f.Log, Now: f.Clock.Now, Home: f.Home}
	r := relay.New(f.Control, f.Log, f.Clock.Now, settler.Settle)
	if c.String("via") == "" {
		return r, nil
	}
	var err error
	if r.Via, err = relay.ParseVia(c.String("via")); err != nil {
		return nil, status.UsageError("--via: %v", err)
	}
	return r, nil
}

// one sends the message on standard input.
func one(ctx context.Context, f *program.Frame, c *cli.Context) error {
	to := append(c.StringSlice("to"), c.Args().Slice()...)
	switch {
	case !c.IsSet("from"):
		return status.UsageError("--from is missing (--from '' is the null reverse path)")
	case len(to) == 0:
		return status.UsageError("no recipient (see mailrelay --help)")
	}
	r, err := newRelay(f, c)
	if err != nil {
		return err
	}
	return r.One(ctx, f.Stdin, c.String("from"), to, func(address string, err error) {
		fmt.Fprintf(f.Stderr, "mailrelay: <%s>: %v\n", address, err)
	})
}

// tell prints the decisions for each address.
func tell(ctx context.Context, f *program.Frame, c *cli.Context) error {
	if !c.Args().Present() {
		return status.UsageError("no address (see mailrelay explain --help)")
	}
	r, err := newRelay(f, c)
	if err != nil {
		return err
	}
	var worst error
	for _, address := range c.Args().Slice() {
		var trail explain.Trail
		err := r.Explain(ctx, address, &trail)
		if failed := trail.Write(f.Stdout, c.Bool("json")); failed != nil {
			return failed
		}
		if worst == nil || status.Exit(err) > status.Exit(worst) {
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
		workers, err := f.Control.Concurrency("mailrelay", 20)
		if err != nil {
			return err
		}
		lane, err := f.Control.Concurrency("destination", 5)
		if err != nil {
			return err
		}
		r, err := newRelay(f, c)
		if err != nil {
			return err
		}
		return f.Work(ctx, &spool.Runner{Inbox: spool.Relay, Handle: r.Handle, Lane: r.Lane,
			Workers: workers, PerLane: lane}, stay)
	}
}
