package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"paperpath/internal/home"
	"paperpath/internal/pop3serve"
	"paperpath/internal/program"
	"paperpath/internal/status"
)

func run() int {
	return program.Main(program.Program{
		Name:     "pop3d",
		Usage:    "serve Maildirs by POP3 on standard input and output, or listen",
		Flags:    program.ServeFlags(),
		Action:   serve,
		KeepRoot: true, // pop3serve.Launch gives it up
		Kind:     program.Server,
		Verbs: []program.Verb{
			{Name: "expire", Action: expire, KeepRoot: true, Kind: program.Server,
				Usage: "remove what was deleted longer ago than control/undelete, in all mailboxes"},
			{Name: "session", Action: session, Usage: "for pop3d itself: a session as the owner of a mailbox"},
		},
	})
}

func session(ctx context.Context, h *home.Home, _ *cli.Context) error {
	return pop3serve.Session(ctx, h.Clock.Now)
}

func expire(ctx context.Context, h *home.Home, c *cli.Context) error {
	if c.Args().Present() {
		return status.UsageError("unexpected operand %q", c.Args().First())
	}
	if launched, err := pop3serve.Launch(ctx, h); launched {
		return err
	}
	e := pop3serve.Expirer{Control: h.Control, Log: h.Log, Now: h.Clock.Now, AgesCount: h.AgesCount}
	return e.Run(ctx)
}

func serve(ctx context.Context, h *home.Home, c *cli.Context) error {
	if launched, err := pop3serve.Launch(ctx, h); launched {
		return err
	}
	listens, err := program.Listens(c)
	switch {
	case err != nil:
		return err
	case listens:
		addrs, tlsAddrs, err := program.Sockets(c)
		if err != nil {
			return err
		}
		return pop3serve.Listen(ctx, h, addrs, tlsAddrs)
	}
	return pop3serve.Stdin(ctx, h, c.Bool("tls"), c.String("env"))
}
