package main

import (
	"context"
	"net/netip"

	"github.com/urfave/cli/v2"

	"paperpath/internal/addr"
	"paperpath/internal/check"
	"paperpath/internal/dns"
	"paperpath/internal/explain"
	"paperpath/internal/home"
	"paperpath/internal/program"
	"paperpath/internal/status"
)

func spfVerb() program.Verb {
	return program.Verb{Name: "spf",
		Usage:    "print whether a host may send mail with this reverse path, and use a name in HELO",
		Operands: "IP SENDER [HELO]", Kind: program.Person, Flags: jsonFlag(), Action: spfCommand}
}

func dmarcVerb() program.Verb {
	return program.Verb{Name: "dmarc", Usage: "print what a domain says about mail in its name",
		Operands: "DOMAIN", Kind: program.Person, Flags: jsonFlag(), Action: dmarcCommand}
}

func jsonFlag() []cli.Flag { return []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "print JSON"}} }

// spfCommand prints what SPF says about a host.
func spfCommand(ctx context.Context, h *home.Home, c *cli.Context) error {
	if n := c.Args().Len(); n < 2 || n > 3 {
		return status.UsageError("%d operands instead of IP, SENDER and perhaps HELO", n)
	}
	ip, err := netip.ParseAddr(c.Args().Get(0))
	if err != nil {
		return status.UsageError("%q is not an IP address", c.Args().Get(0))
	}
	from, err := sender(c.Args().Get(1))
	if err != nil {
		return err
	}
	helo := c.Args().Get(2)
	if from.IsNull() && helo == "" {
		return status.UsageError("with the null reverse path HELO is needed")
	}
	var t explain.Trail
	err = check.SPF(ctx, h.DNS(), ip, from, helo, &t)
	return said(h, c, &t, err)
}

// sender reads a reverse path; a domain alone stands for its postmaster.
func sender(text string) (addr.Address, error) {
	if text == "" || text == "<>" {
		return addr.Address{}, nil
	}
	if addr.CheckDomain(text) == nil {
		text = "postmaster@" + text
	}
	a, err := addr.Parse(text)
	if err != nil {
		return a, status.UsageError("%q is neither an address nor a domain: %v", text, err)
	}
	return a, nil
}

// dmarcCommand prints the DMARC policy of a domain.
func dmarcCommand(ctx context.Context, h *home.Home, c *cli.Context) error {
	if n := c.Args().Len(); n != 1 {
		return status.UsageError("%d operands instead of a domain", n)
	}
	_, domain := addr.Split("@" + c.Args().First())
	name, err := dns.ASCII(domain)
	if err != nil {
		return status.UsageError("%q is not a domain", c.Args().First())
	}
	var t explain.Trail
	err = check.DMARC(ctx, h.DNS(), name, &t)
	return said(h, c, &t, err)
}

// said prints what a command found. Its error is the exit status; what was found says why.
func said(h *home.Home, c *cli.Context, t *explain.Trail, err error) error {
	if t.Outcome == "" {
		return err
	}
	if err := t.Write(h.Stdout, c.Bool("json")); err != nil {
		return err
	}
	if err != nil {
		return &status.Error{Exit: status.Exit(err)}
	}
	return nil
}
