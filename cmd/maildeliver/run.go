package main

import (
	"context"
	"strings"

	"github.com/urfave/cli/v2"

	"paperpath/internal/addr"
	"paperpath/internal/deliver"
	"paperpath/internal/explain"
	"paperpath/internal/home"
	"paperpath/internal/program"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

func maildeliver() program.Program {
	return program.Program{
		Name: "maildeliver", Usage: "Store the message on standard input in a mailbox.",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "d", Aliases: []string{"to"}, Usage: "the mailbox's `ADDRESS`"},
			&cli.StringFlag{Name: "f", Aliases: []string{"from"}, Usage: "the reverse path `ADDRESS` (default: a leading Return-Path)"},
		},
		Action: store, UsageStatus: usageStatus, Kind: program.Agent, StartsPrograms: true,
		Verbs: append(program.Stage{Inbox: spool.InboxDeliver, Does: "deliver", Make: runner, StartsPrograms: true}.Verbs(),
			program.Verb{Name: "explain", Usage: "print where an address's mail is stored, and why", Operands: "address ...", Kind: program.Person,
				Flags: []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "print one JSON object a line"}}, Action: explainCommand}),
	}
}

// usageStatus is 75 for the MDA: on 64 another mail system would bounce mail because
// of an error in its own configuration.
func usageStatus(args []string) int {
	for _, a := range args {
		if a == "--" {
			break
		}
		if strings.HasPrefix(a, "-d") || strings.HasPrefix(a, "--d") || strings.HasPrefix(a, "--to") {
			return status.TempFail
		}
	}
	return status.Usage
}

// store delivers the message on standard input, as an MDA.
func store(ctx context.Context, h *home.Home, c *cli.Context) error {
	to := c.StringSlice("d")
	switch {
	case len(to) != 1:
		return status.UsageError("exactly one -d address is required, not %d (see maildeliver --help)", len(to))
	case c.Args().Present():
		return status.UsageError("unexpected operand %q", c.Args().First())
	}
	var from *addr.Address
	if c.IsSet("f") {
		a, err := deliver.ParseFrom(c.String("f"))
		if err != nil {
			return status.UsageError("%v", err)
		}
		from = &a
	}
	mda := deliver.MDA{Control: h.Control, Log: h.Log, Full: h.Full(), Now: h.Clock.Now, Home: h.Dir}
	return mda.Deliver(to[0], from, h.Input(ctx))
}

// explainCommand prints the decisions for each address.
func explainCommand(_ context.Context, h *home.Home, c *cli.Context) error {
	return program.Explain(h, c, func(address string, t *explain.Trail) error {
		return deliver.Explain(h.Control, h.Dir, address, t)
	})
}

func runner(h *home.Home) (*spool.Runner, error) {
	stage := &deliver.Stage{Control: h.Control, Home: h.Dir, Now: h.Clock.Now, Log: h.Log, Full: h.Full(), Answers: h.Settler(), Settle: h.Settler().Settle}
	return &spool.Runner{Handle: stage.Handle}, nil
}
