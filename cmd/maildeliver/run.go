package main

import (
	"context"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"paperpath/internal/addr"
	"paperpath/internal/deliver"
	"paperpath/internal/deliverserve"
	"paperpath/internal/explain"
	"paperpath/internal/home"
	"paperpath/internal/program"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

func maildeliver() program.Program {
	p := &deliverserve.Processes{}
	return program.Program{
		Name: "maildeliver", Usage: "Store the message on standard input in a mailbox.",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "d", Aliases: []string{"to"}, Usage: "the mailbox's `ADDRESS`"},
			&cli.StringFlag{Name: "f", Aliases: []string{"from"}, Usage: "the reverse path `ADDRESS` (default: a leading Return-Path)"},
			&cli.StringFlag{Name: "a", Usage: "the recipient `ADDRESS` that was accepted, for X-Original-To"},
			&cli.StringFlag{Name: "m", Usage: "the `FOLDER` of the mailbox (default: as the address says)"},
			ignored("e"), ignored("k"), ignored("o"), ignored("t"), ignored("Y"),
		},
		Action: func(ctx context.Context, h *home.Home, c *cli.Context) error {
			if done, err := p.Launch(ctx, h); done || err != nil {
				return err
			}
			return store(ctx, h, c, p.Owners())
		}, Kind: program.Agent, StartsPrograms: true, KeepRoot: true, // deliverserve.Launch gives it up
		UsageStatus: status.TempFail, // at 64 other mail systems bounce mail for a fault in their own settings
		Verbs: append(program.Stage{Inbox: spool.InboxDeliver, Does: "deliver", Brief: true, Make: func(h *home.Home) (*spool.Runner, error) { return runner(h, p.Owners()) }, StartsPrograms: true,
			Launch: p.Launch}.Verbs(),
			program.Verb{Name: deliverserve.SessionVerb, Usage: "for maildeliver itself: work as the owner of a mailbox", Kind: program.Person,
				Homeless: true, StartsPrograms: true, Action: session},
			program.Verb{Name: "explain", Usage: "print where an address's mail is stored, and why", Operands: "address ...", Kind: program.Person,
				Flags: []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "print one JSON object a line"}}, Action: explainCommand}),
	}
}

// ignored is an option of dovecot-lda or procmail for what this program does anyway.
func ignored(name string) cli.Flag {
	return &cli.BoolFlag{Name: name, Usage: "ignored: an option of dovecot-lda or procmail"}
}

// store delivers the message on standard input, as an MDA.
func store(ctx context.Context, h *home.Home, c *cli.Context, owners deliver.Owners) error {
	to := c.StringSlice("d")
	switch {
	case len(to) != 1:
		return status.UsageError("exactly one -d address is required, not %d (see maildeliver --help)", len(to))
	case c.Args().Present():
		return status.UsageError("unexpected operand %q", c.Args().First())
	}
	var from *addr.Address
	if c.IsSet("f") && c.String("f") != "-" { // procmail: as it stands in the message
		a, err := deliver.ParseFrom(c.String("f"))
		if err != nil {
			return status.UsageError("%v", err)
		}
		from = &a
	}
	mda := deliver.MDA{Owners: owners, Answers: h.Settler(), Spool: h.Spool, Folder: c.String("m"), Control: h.Control, Log: h.Log, Full: h.Full(), Now: h.Clock.Now, Home: h.Dir}
	if text := c.String("a"); strings.Contains(text, "@") { // procmail's -a may be anything
		var err error
		if mda.Original, err = addr.Parse(text); err != nil {
			return status.UsageError("%v", err)
		}
	}
	return mda.Deliver(ctx, to[0], from, h.Input(ctx))
}

func session(ctx context.Context, _ *home.Home, _ *cli.Context) error {
	return deliverserve.Session(ctx)
}

// explainCommand prints the decisions for each address.
func explainCommand(_ context.Context, h *home.Home, c *cli.Context) error {
	return program.Explain(h, c, func(address string, t *explain.Trail) error {
		return deliver.Explain(h.Control, h.Dir, address, t)
	})
}

// patience is how long a delivery holds its worker.
const patience = 10 * time.Second

func runner(h *home.Home, owners deliver.Owners) (*spool.Runner, error) {
	stage := &deliver.Stage{Control: h.Control, Home: h.Dir, Now: h.Clock.Now, Log: h.Log, Full: h.Full(), Answers: h.Settler(), Settle: h.Settler().Settle,
		Owners: owners}
	workers, err := h.Concurrency("maildeliver")
	if err != nil {
		return nil, err
	}
	// The program of a user may take minutes: one worker is left for everybody else, and none is
	// held for long.
	return &spool.Runner{Handle: stage.Handle, Lane: stage.Lane, PerLane: func(string) int { return max(workers()-1, 1) },
		Workers: workers, Patience: patience}, nil
}
