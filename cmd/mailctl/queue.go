package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"paperpath/internal/home"
	"paperpath/internal/mailctl"
	"paperpath/internal/program"
	"paperpath/internal/status"
)

func queueVerb() program.Verb {
	list := func(_ context.Context, h *home.Home, c *cli.Context) error {
		if err := none(c); err != nil {
			return err
		}
		sp, err := h.Spool()
		if err != nil {
			return err
		}
		return mailctl.Queue{Spool: sp, Now: h.Clock.Now(), Out: h.Stdout, JSON: c.Bool("json")}.List()
	}
	flags := []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "print JSON, one object a line"}}
	reason := []cli.Flag{&cli.StringFlag{Name: "reason", Usage: "why, in `WORDS` for people"}}
	return program.Verb{
		Name: "queue", Usage: "show what is in the inboxes, and move single entries", Flags: flags,
		Action: list,
		Verbs: []program.Verb{
			{Name: "list", Usage: "show the queue: the default", Flags: flags, Action: list},
			keysVerb("show", "print an entry: envelope, reasons, message", nil),
			keysVerb("retry", "make a deferred entry due now", nil),
			keysVerb("hold", "put an entry into hold/", reason),
			keysVerb("release", "put a held entry into route/", nil),
			keysVerb("reroute", "put an entry into route/, to be routed again", nil),
			keysVerb("bounce", "return an entry to its sender", reason),
			keysVerb("remove", "remove an entry for good; no bounce is sent", nil),
		},
	}
}

func keysVerb(name, usage string, flags []cli.Flag) program.Verb {
	return program.Verb{Name: name, Usage: usage, Operands: "KEY ...", Flags: flags,
		Action: func(_ context.Context, h *home.Home, c *cli.Context) error {
			if !c.Args().Present() {
				return status.UsageError("no KEY (mailctl queue lists them)")
			}
			sp, err := h.Spool()
			if err != nil {
				return err
			}
			host, err := h.Control.Hostname()
			if err != nil {
				return err
			}
			v := mailctl.Verbs{Spool: sp, Host: host, Out: h.Stdout, Errors: h.Stderr,
				Reason:  c.String("reason"),
				Settler: h.Settler()}
			return v.Each(name, c.Args().Slice())
		}}
}

func spoolVerb() program.Verb {
	return program.Verb{
		Name: "spool", Usage: "look after the spool",
		Verbs: []program.Verb{{
			Name: "check", Usage: "compare every file with the state table of spool(5); change nothing",
			Flags: []cli.Flag{&cli.BoolFlag{Name: "repair", Usage: "repair what was found"}},
			Action: func(_ context.Context, h *home.Home, c *cli.Context) error {
				if err := none(c); err != nil {
					return err
				}
				sp, err := h.Spool()
				if err != nil {
					return err
				}
				return mailctl.CheckSpool(sp, h.Stdout, c.Bool("repair"), h.AgesCount)
			},
		}},
	}
}
