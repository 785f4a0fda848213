package main

import (
	"context"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"paperpath/internal/control"
	"paperpath/internal/home"
	"paperpath/internal/mailctl"
	"paperpath/internal/program"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

func queueVerb() program.Verb {
	json := &cli.BoolFlag{Name: "json", Usage: "print JSON, one object a line"}
	flags := append(filterFlags(), json, &cli.BoolFlag{Name: "long", Usage: "print all recipients and whole reasons"})
	reason := &cli.StringFlag{Name: "reason", Usage: "why, in `WORDS` for people"}
	return program.Verb{
		Name: "queue", Usage: "show what is in the inboxes, and move entries", Flags: flags,
		Action: queueList,
		Verbs: []program.Verb{
			{Name: "list", Usage: "show the queue: the default", Flags: flags, Action: queueList},
			{Name: "summary", Usage: "count the waiting recipients by domain and age", Action: queueSummary,
				Flags: append(filterFlags(), json, &cli.BoolFlag{Name: "by-sender", Usage: "count entries by the sender's domain"})},
			entriesVerb("show", "print entries: envelope, reasons, message"),
			entriesVerb("retry", "make deferred entries due now"),
			entriesVerb("hold", "put entries into hold/", reason),
			entriesVerb("release", "put held entries into route/"),
			entriesVerb("reroute", "put entries into route/, to be routed again"),
			entriesVerb("bounce", "return entries to their senders", reason),
			entriesVerb("remove", "remove entries for good; no bounce is sent"),
		},
	}
}

// filterFlags are the options that select entries.
func filterFlags() []cli.Flag {
	text := func(name, usage string) cli.Flag { return &cli.StringFlag{Name: name, Usage: usage} }
	return []cli.Flag{
		text("from", "entries whose sender contains `TEXT`; <> is the null sender"),
		text("to", "entries with a waiting recipient that contains `TEXT`"),
		text("address", "entries whose sender or waiting recipient contains `TEXT`"),
		text("domain", "entries with a waiting recipient in `DOMAIN`, or below it with a dot in front"),
		text("why", "entries whose last reason contains `TEXT`"),
		text("state", "entries that are `STATE`: new, deferred, held"),
		text("inbox", "entries in `INBOX`: check, route, deliver, relay, hold"),
		text("older", "entries older than `SPAN`, such as 2h or 3d"),
		text("younger", "entries younger than `SPAN`"),
	}
}

func filterOf(c *cli.Context) (mailctl.Filter, error) {
	f := mailctl.Filter{From: c.String("from"), To: c.String("to"), Address: c.String("address"), Domain: c.String("domain"),
		Reason: c.String("why"), State: c.String("state"), Inbox: spool.Inbox(c.String("inbox"))}
	for name, to := range map[string]*time.Duration{"older": &f.Older, "younger": &f.Younger} {
		if text := c.String(name); text != "" {
			var err error
			if *to, err = control.ParseSpan(text); err != nil {
				return f, status.UsageError("--%s: %q %v", name, text, err)
			}
		}
	}
	return f, f.Check()
}

// queueOf returns the queue that the options select.
func queueOf(h *home.Home, c *cli.Context) (q mailctl.Queue, err error) {
	if err := none(c); err != nil {
		return q, err
	}
	q = mailctl.Queue{Now: h.Clock.Now(), Out: h.Stdout, JSON: c.Bool("json"), Long: c.Bool("long")}
	if q.Filter, err = filterOf(c); err != nil {
		return q, err
	}
	q.Spool, err = h.Spool()
	return q, err
}

func queueList(_ context.Context, h *home.Home, c *cli.Context) error {
	q, err := queueOf(h, c)
	if err != nil {
		return err
	}
	program.CollectSeldom(program.SpareOfList)
	return q.List()
}

func queueSummary(_ context.Context, h *home.Home, c *cli.Context) error {
	q, err := queueOf(h, c)
	if err != nil {
		return err
	}
	program.CollectSeldom(program.SpareOfList)
	return q.Summary(c.Bool("by-sender"))
}

// entriesVerb acts on entries that are named by their keys, or selected by options.
func entriesVerb(name, usage string, flags ...cli.Flag) program.Verb {
	flags = append(append(filterFlags(), flags...),
		&cli.BoolFlag{Name: "all", Usage: "all entries"},
		&cli.BoolFlag{Name: "dry-run", Usage: "print the selected entries and do nothing"})
	return program.Verb{Name: name, Usage: usage, Operands: "[KEY ...]", Flags: flags,
		Action: func(_ context.Context, h *home.Home, c *cli.Context) error { return entries(h, c, name) }}
}

func entries(h *home.Home, c *cli.Context, verb string) error {
	f, err := filterOf(c)
	if err != nil {
		return err
	}
	keys := c.Args().Present()
	selects := c.Bool("all") || !f.Any()
	switch {
	case keys && (selects || c.Bool("dry-run")):
		return status.UsageError("either KEYs or options that select entries, not both")
	case !keys && !selects:
		return status.UsageError("no KEY, and no option that selects entries (mailctl queue lists them; --all is all)")
	}
	sp, err := h.Spool()
	if err != nil {
		return err
	}
	host, err := h.Control.Hostname()
	if err != nil {
		return fmt.Errorf("hostname: %w", err)
	}
	v := mailctl.Verbs{Spool: sp, Host: host, Now: h.Clock.Now(), Out: h.Stdout, Errors: h.Stderr, Reason: c.String("reason"),
		Settler: h.Settler()}
	if keys {
		return v.Each(verb, c.Args().Slice())
	}
	return v.Selected(verb, f, c.Bool("dry-run"))
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
