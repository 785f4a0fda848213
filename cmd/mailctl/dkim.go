package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"paperpath/internal/control"
	"paperpath/internal/home"
	"paperpath/internal/mailctl"
	"paperpath/internal/program"
	"paperpath/internal/status"
)

func dkimVerb() program.Verb {
	v := program.Verb{
		Name: "dkim", Usage: "make and show the keys that sign mail", Operands: "verb ...",
		Verbs: []program.Verb{
			{Name: "new", Usage: "make a pair of keys for a domain, and print its DNS records", Operands: "DOMAIN",
				Action: func(_ context.Context, h *home.Home, c *cli.Context) error {
					text, err := operand(c, "DOMAIN")
					if err != nil {
						return err
					}
					domain, err := control.DKIMDomain(text)
					if err != nil {
						return status.UsageError("%v", err)
					}
					return dkimKeys(h).New(domain)
				}},
			{Name: "activate", Usage: "sign with a key, or with the newest pair", Operands: "DOMAIN [SELECTOR]",
				Action: dkimAction(mailctl.DKIM.Activate)},
			{Name: "retire", Usage: "sign no longer with a key, or with all but the newest pair",
				Operands: "DOMAIN [SELECTOR]", Action: dkimAction(
					func(d mailctl.DKIM, _ context.Context, domain, selector string) error {
						return d.Retire(domain, selector)
					})},
			{Name: "show", Usage: "print keys, their state and their DNS records", Operands: "[DOMAIN [SELECTOR]]",
				Action: func(ctx context.Context, h *home.Home, c *cli.Context) error {
					if c.NArg() == 0 {
						return dkimKeys(h).List()
					}
					return dkimAction(mailctl.DKIM.Show)(ctx, h, c)
				}},
		},
	}
	for i := range v.Verbs {
		v.Verbs[i].As = "mailrelay" // the keys are its own
	}
	return v
}

func dkimKeys(h *home.Home) mailctl.DKIM {
	return mailctl.DKIM{Control: h.Control, DNS: h.DNS(), Now: h.Clock.Now(), Out: h.Stdout,
		Notes: h.Stderr}
}

// dkimAction is a verb with a domain and perhaps a selector.
func dkimAction(do func(d mailctl.DKIM, ctx context.Context, domain, selector string) error) func(
	context.Context, *home.Home, *cli.Context) error {
	return func(ctx context.Context, h *home.Home, c *cli.Context) error {
		if n := c.NArg(); n < 1 || n > 2 {
			return status.UsageError("%[1]s takes DOMAIN, and perhaps SELECTOR (see %[1]s --help)", c.App.Name)
		}
		domain, err := control.DKIMDomain(c.Args().Get(0))
		if err != nil {
			return status.UsageError("%v", err)
		}
		return do(dkimKeys(h), ctx, domain, c.Args().Get(1))
	}
}
