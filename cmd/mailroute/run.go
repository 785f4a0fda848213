package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"paperpath/internal/addr"
	"paperpath/internal/auth"
	"paperpath/internal/check"
	"paperpath/internal/explain"
	"paperpath/internal/home"
	"paperpath/internal/program"
	"paperpath/internal/route"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

func mailroute() program.Program {
	flags := []cli.Flag{&cli.StringFlag{Name: "from", Usage: "of mail with the reverse path `ADDRESS`"},
		&cli.StringFlag{Name: "auth", Usage: "of mail that is submitted with this `LOGIN`"},
		&cli.BoolFlag{Name: "json", Usage: "print one JSON object a line"}}
	return program.Program{
		Name: "mailroute", Usage: "Say where mail for an address goes, and why.",
		Operands: "address ...", Flags: flags, Action: ask, Kind: program.Person,
		Verbs: append(program.Stage{Inbox: spool.InboxRoute, Does: "route", Brief: true, Make: runner}.Verbs(),
			program.Verb{Name: "explain", Usage: "print every decision on the way", Operands: "address ...",
				Flags: flags, Action: explainCommand}),
	}
}

// ask prints where each address goes.
func ask(_ context.Context, h *home.Home, c *cli.Context) error {
	return each(c.Args().Slice(), func(address string) error {
		from, err := sender(h, c, nil)
		if err != nil {
			return err
		}
		answer, err := route.Ask(h.Control, from, address, nil)
		if failed := answer.Write(h.Stdout, c.Bool("json")); failed != nil {
			return failed
		}
		return err
	})
}

// explainCommand prints the decisions for each address.
func explainCommand(_ context.Context, h *home.Home, c *cli.Context) error {
	return program.Explain(h, c, func(address string, t *explain.Trail) error {
		from, err := sender(h, c, t)
		if err != nil {
			t.End(err.Error())
			return err
		}
		_, err = route.Ask(h.Control, from, address, t)
		return err
	})
}

// sender returns the reverse path to ask for: with a login its own address, unless there is
// another, which the login must be allowed to use.
func sender(h *home.Home, c *cli.Context, t *explain.Trail) (string, error) {
	login, from := c.String("auth"), c.String("from")
	if login == "" {
		return from, nil
	}
	login, _, err := auth.AddressOf(h.Control, login) // as servers read it
	if err != nil {
		return "", err
	}
	if !c.IsSet("from") {
		from = login
	}
	var a addr.Address
	if from != "" {
		if a, err = addr.Parse(from); err != nil {
			return "", status.UsageError("%v", err)
		}
	}
	resolve := func(a addr.Address) ([]addr.Address, error) { return route.Addresses(h.Control, a) }
	return from, check.Sender(h.Control, check.Submitter{Login: login}, a, resolve, t)
}

// each asks about all addresses and returns the most serious error: one that gives no
// answer about an address outranks one that does.
func each(addresses []string, do func(string) error) error {
	if len(addresses) == 0 {
		return status.UsageError("no address (see mailroute --help)")
	}
	var worst error
	for _, a := range addresses {
		worst = status.Worse(worst, do(a))
	}
	return worst
}

func runner(h *home.Home) (*spool.Runner, error) {
	stage := &route.Stage{Control: h.Control, Settle: h.Settler().Settle, Now: h.Clock.Now, Log: h.Log}
	return &spool.Runner{Handle: stage.Handle}, nil
}
