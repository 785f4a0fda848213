package main

import (
	"context"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"paperpath/internal/explain"
	"paperpath/internal/home"
	"paperpath/internal/program"
	"paperpath/internal/sendmail"
	"paperpath/internal/submit"
)

func run(name string) int { return program.Main(face(name)) }

// face is the program under the name that it was called by.
func face(name string) program.Program {
	p := program.Program{
		Name:     "mailsubmit",
		LogName:  "mailsubmit",
		Usage:    "accept a message from standard input into the spool",
		Operands: "[address ...] < message",
		Flags:    sendmailFlags(),
		Optional: sendmail.Optional,
		Action:   accept,
		KeepRoot: true,

		StartsPrograms: true, // sendmail -q runs maildeliver
		Verbs:          []program.Verb{smtpVerb(), explainVerb()},
	}
	switch filepath.Base(name) {
	case "sendmail": // this name has no verbs
		p.Name, p.Verbs = "sendmail", nil
	case "mailq":
		p.Name, p.Verbs, p.Usage, p.Operands = "mailq", nil, "list the queue", ""
		p.Action, p.KeepRoot, p.Kind, p.Flags = listQueue, false, program.Person, showOnly(p.Flags, "json")
	case "newaliases":
		p.Name, p.Verbs, p.Usage, p.Operands = "newaliases", nil, "check control/aliases", ""
		p.Action, p.KeepRoot, p.Kind, p.Flags = newaliases, false, program.Person, showOnly(p.Flags)
	}
	return p
}

func smtpVerb() program.Verb {
	return program.Verb{
		Name:     "smtp",
		Usage:    "speak SMTP on standard input and output, or listen",
		Kind:     program.Server,
		KeepRoot: true, // until the ports are bound
		Flags: append(program.ServeFlags(),
			&cli.StringFlag{Name: "role", Value: "mx", Usage: "`ROLE`: mx accepts mail for control/domains, " +
				"submission from users for any destination, local from users of this machine, lmtp is mx by LMTP"}),
		Action: smtp,
	}
}

func smtp(ctx context.Context, h *home.Home, c *cli.Context) error {
	role, err := submit.ParseRole(c.String("role"))
	if err != nil {
		return err
	}
	listens, err := program.Listens(c)
	switch {
	case err != nil:
		return err
	case listens:
		addrs, tlsAddrs, err := program.Sockets(c)
		if err != nil {
			return err
		}
		return submit.Listen(ctx, h, role, addrs, tlsAddrs)
	}
	if err := h.GiveUpRoot(); err != nil {
		return err
	}
	return submit.Stdin(ctx, h, role, c.Bool("tls"), c.String("env"))
}

func explainVerb() program.Verb {
	return program.Verb{
		Name:     "explain",
		Usage:    "print what would happen to recipients of a local user, and why",
		Operands: "address ...",
		Kind:     program.Person,
		KeepRoot: true, // submit.Explain gives it up, once it has the uid
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "f", Usage: "the reverse path `ADDRESS`"},
			&cli.StringFlag{Name: "login", Usage: "as the authenticated `USER`, not as the local one"},
			&cli.BoolFlag{Name: "json", Usage: "print JSON, one object per line"},
		},
		Action: func(_ context.Context, h *home.Home, c *cli.Context) error {
			return submit.Explain(h, c.String("f"), c.String("login"), c.Args().Slice(),
				func(t *explain.Trail, err error) (said, failed error) { return program.Say(h, c, t, err) })
		},
	}
}
