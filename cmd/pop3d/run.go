package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"paperpath/internal/pop3"
	"paperpath/internal/program"
	"paperpath/internal/status"
)

func run() int {
	return program.Main(program.Program{
		Name:   "pop3d",
		Usage:  "serve Maildirs by POP3 on standard input and output, or listen",
		Flags:  program.ServeFlags(),
		Action: serve,
		Verbs: []program.Verb{{Name: "expire", Action: expire,
			Usage: "remove what was deleted longer ago than control/undelete, in all mailboxes"}},
	})
}

func expire(ctx context.Context, f *program.Frame, c *cli.Context) error {
	if c.Args().Present() {
		return status.UsageError("there are no operands, so not %q", c.Args().First())
	}
	return pop3.Expire(ctx, f)
}

func serve(ctx context.Context, f *program.Frame, c *cli.Context) error {
	listens, err := program.Listens(c)
	switch {
	case err != nil:
		return err
	case listens:
		return pop3.Listen(ctx, f, c.StringSlice("listen"), c.StringSlice("listen-tls"))
	}
	return pop3.Stdin(ctx, f, c.Bool("tls"), c.String("env"))
}
