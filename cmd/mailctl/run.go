package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"paperpath/internal/home"
	"paperpath/internal/mailctl"
	"paperpath/internal/program"
	"paperpath/internal/status"
)

func run() int {
	return program.Main(program.Program{
		Name:     "mailctl",
		Usage:    "make and run a Paperpath home",
		Operands: "verb ...",
		Kind:     program.Person,
		Verbs: []program.Verb{initVerb(), userVerb(), checkVerb(), dkimVerb(), statusVerb(), startVerb(), stopVerb(), reloadVerb(), queueVerb(), traceVerb(),
			spoolVerb(), backupVerb(), fscheckVerb()},
	})
}

func initVerb() program.Verb {
	return program.Verb{
		Name: "init", Usage: "make the home DIR, or what is missing in it", Operands: "DIR",
		KeepRoot: true, Homeless: true,
		Flags: append(smarthostFlags(),
			&cli.StringFlag{Name: "hostname", Usage: "this host's mail `NAME` (default: the machine's)"},
			&cli.StringFlag{Name: "owner", Usage: "the owner of the home, a `USER` or a number; for root"},
			&cli.BoolFlag{Name: "create-user",
				Usage: "make the system user paperpath, the owner of the home"},
			&cli.StringSliceFlag{Name: "domain",
				Usage: "a `DOMAIN` whose mail is delivered here (default: the hostname)"},
		),
		Action: func(ctx context.Context, h *home.Home, c *cli.Context) error {
			dir, err := operand(c, "DIR")
			if err != nil {
				return err
			}
			return mailctl.Init{Dir: dir, Hostname: c.String("hostname"), Domains: c.StringSlice("domain"),
				Owner: c.String("owner"), CreateUser: c.Bool("create-user"), Now: h.Clock.Now(),
				Notes: h.Stderr, Smarthost: smarthost(ctx, h, c)}.Run()
		},
	}
}

func checkVerb() program.Verb {
	return program.Verb{
		Name: "check", Usage: "read all settings; print what is wrong, and what is in force and where it comes from",
		Flags: []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "print JSON, one object a line"}},
		Action: func(_ context.Context, h *home.Home, c *cli.Context) error {
			if err := none(c); err != nil {
				return err
			}
			return mailctl.Check{Home: h.Dir, Control: h.Control, Now: h.Clock.Now(), Out: h.Stdout,
				JSON: c.Bool("json")}.Run()
		},
	}
}

func startVerb() program.Verb {
	return program.Verb{
		Name: "start", Usage: "run the commands of control/services until a signal ends them",
		KeepRoot: true, StartsPrograms: true,
		Action: func(ctx context.Context, h *home.Home, c *cli.Context) error {
			if err := none(c); err != nil {
				return err
			}
			return mailctl.Start(ctx, h)
		},
	}
}

func stopVerb() program.Verb {
	return program.Verb{
		Name: "stop", Usage: "end the mailctl start that runs the home, and wait until it has ended",
		Action: func(_ context.Context, h *home.Home, c *cli.Context) error {
			if err := none(c); err != nil {
				return err
			}
			return mailctl.Stop(h.Dir, h.Stderr)
		},
	}
}

func reloadVerb() program.Verb {
	return program.Verb{
		Name: "reload", Usage: "check the settings, and have the running mailctl start read them again",
		Action: func(_ context.Context, h *home.Home, c *cli.Context) error {
			if err := none(c); err != nil {
				return err
			}
			return mailctl.Check{Home: h.Dir, Control: h.Control, Now: h.Clock.Now(), Out: h.Stderr}.Reload()
		},
	}
}

// operand returns the only operand.
func operand(c *cli.Context, name string) (string, error) {
	if c.NArg() != 1 {
		return "", status.UsageError("%[1]s takes one operand, %[2]s (see %[1]s --help)", c.App.Name, name)
	}
	return c.Args().First(), nil
}

func none(c *cli.Context) error {
	if c.Args().Present() {
		return status.UsageError("unknown operand %q (see %s --help)", c.Args().First(), c.App.Name)
	}
	return nil
}
