package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"paperpath/internal/home"
	"paperpath/internal/mailctl"
	"paperpath/internal/program"
)

func traceVerb() program.Verb {
	return program.Verb{
		Name: "trace", Usage: "print the life of a message from the events in the log",
		Operands: "KEY | ADDRESS | MESSAGE-ID",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "since", Usage: "leave out events before `TIME`: 90m, 2h, 3d ago, a date, or an RFC 3339 time"},
			&cli.IntFlag{Name: "most", Value: 100, Usage: "if more messages match, show the latest `NUMBER`"},
			&cli.StringSliceFlag{Name: "file", Usage: "read `FILE` instead of the log; - is standard input"},
			&cli.BoolFlag{Name: "follow", Usage: "then stay, and print the events as they come"},
			&cli.BoolFlag{Name: "json", Usage: "print one JSON object an event"},
		},
		Action: func(ctx context.Context, h *home.Home, c *cli.Context) error {
			what, err := operand(c, "KEY, ADDRESS or MESSAGE-ID")
			if err != nil {
				return err
			}
			since, err := mailctl.Since(c.String("since"), h.Clock.Now())
			if err != nil {
				return err
			}
			return mailctl.Trace{Home: h.Dir, Control: h.Control, What: what, Since: since, Most: c.Int("most"),
				Files: c.StringSlice("file"), In: h.Input(ctx), Follow: c.Bool("follow"), JSON: c.Bool("json"),
				Now: h.Clock.Now, Out: h.Stdout, Notes: h.Stderr}.Run(ctx)
		},
	}
}
