package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"paperpath/internal/home"
	"paperpath/internal/mailctl"
	"paperpath/internal/program"
)

func backupVerb() program.Verb {
	return program.Verb{
		Name: "backup", Usage: "copy the home to the new directory DIR while the programs run", Operands: "DIR",
		KeepRoot: true,
		Action: func(ctx context.Context, h *home.Home, c *cli.Context) error {
			dir, err := operand(c, "DIR")
			if err != nil {
				return err
			}
			return backupIn(h, dir).Run(ctx, h.Dir)
		},
		Verbs: []program.Verb{{
			Name: "verify", Usage: "compare a copy with its manifest, and its spool with the state table of spool(5)",
			Operands: "DIR", KeepRoot: true, Homeless: true,
			Action: func(ctx context.Context, h *home.Home, c *cli.Context) error {
				dir, err := operand(c, "DIR")
				if err != nil {
					return err
				}
				return backupIn(h, dir).Verify(ctx)
			},
		}},
	}
}

func backupIn(h *home.Home, dir string) mailctl.Backup {
	return mailctl.Backup{Dir: dir, Now: h.Clock.Now, Out: h.Stdout, Notes: h.Stderr}
}
