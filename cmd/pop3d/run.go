package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"paperpath/internal/listen"
	"paperpath/internal/pop3"
	"paperpath/internal/program"
	"paperpath/internal/status"
)

func run() int {
	return program.Main(program.Program{
		Name:  "pop3d",
		Usage: "serve Maildirs by POP3 on standard input and output, or listen",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "listen", Usage: "listen on `ADDRESS:PORT`"},
			&cli.StringSliceFlag{Name: "listen-tls", Usage: "listen on `ADDRESS:PORT` for TLS from the first octet"},
			&cli.BoolFlag{Name: "tls", Usage: "the session on standard input begins with TLS"},
		},
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
	if c.Args().Present() {
		return status.UsageError("there are no operands, so not %q", c.Args().First())
	}
	listens := c.IsSet("listen") || c.IsSet("listen-tls")
	switch {
	case listens && c.Bool("tls"):
		return status.UsageError("--tls is for standard input; it is --listen-tls for an address")
	case listens || listen.Activated():
		return pop3.Listen(ctx, f, c.StringSlice("listen"), c.StringSlice("listen-tls"))
	}
	return pop3.Stdin(ctx, f, c.Bool("tls"))
}
