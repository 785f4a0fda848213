package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"paperpath/internal/home"
	"paperpath/internal/mailctl"
	"paperpath/internal/program"
)

func statusVerb() program.Verb {
	return program.Verb{
		Name: "status", Usage: "say how the home does: inboxes, runners, servers, certificates, disks",
		Flags: []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "print JSON, one object a line"}},
		Action: func(_ context.Context, h *home.Home, c *cli.Context) error {
			if err := none(c); err != nil {
				return err
			}
			return mailctl.Status{Home: h.Dir, Control: h.Control, Spool: h.Spool, Now: h.Clock.Now(), Out: h.Stdout,
				JSON: c.Bool("json")}.Run()
		},
	}
}
