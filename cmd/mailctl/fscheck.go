package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"paperpath/internal/home"
	"paperpath/internal/mailctl"
	"paperpath/internal/program"
	"paperpath/internal/status"
)

func fscheckVerb() program.Verb {
	return program.Verb{
		Name: "fscheck", Usage: "try whether the file system of DIR does what mail relies on", Operands: "DIR [DIR-ON-OTHER-MOUNT]",
		KeepRoot: true, Homeless: true,
		Action: func(ctx context.Context, h *home.Home, c *cli.Context) error {
			if n := c.NArg(); n < 1 || n > 2 {
				return status.UsageError("%[1]s takes one or two operands, DIR and DIR-ON-OTHER-MOUNT (see %[1]s --help)", c.App.Name)
			}
			return mailctl.Fscheck{Dir: c.Args().Get(0), Other: c.Args().Get(1), Out: h.Stdout}.Run(ctx)
		},
		Verbs: []program.Verb{{
			Name: "locked", Usage: "say whether FILE is locked; fscheck asks it of another process", Operands: "FILE",
			KeepRoot: true, Homeless: true,
			Action: func(_ context.Context, h *home.Home, c *cli.Context) error {
				path, err := operand(c, "FILE")
				if err != nil {
					return err
				}
				return mailctl.Fscheck{Out: h.Stdout}.Locked(path)
			},
		}},
	}
}
