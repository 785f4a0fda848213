package main

import (
	"context"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"paperpath/internal/program"
	"paperpath/internal/status"
	"paperpath/internal/submit"
)

func run(name string) int {
	p := program.Program{
		Name:     "mailsubmit",
		LogName:  "mailsubmit",
		Usage:    "accept a message from standard input into the spool",
		Operands: "[address ...] < message",
		Flags:    sendmailFlags(),
		Optional: "qEJS",
		Action:   sendmail,
		Verbs:    []program.Verb{smtpVerb(), explainVerb()},
	}
	switch filepath.Base(name) {
	case "sendmail": // no word is a verb under this name
		p.Name, p.Verbs = "sendmail", nil
	case "mailq":
		p.Name, p.Verbs, p.Usage, p.Operands = "mailq", nil, "list the queue", ""
		p.Action = mailq
	case "newaliases":
		p.Name, p.Verbs, p.Usage, p.Operands = "newaliases", nil, "read control/aliases and say whether it is right", ""
		p.Action = newaliases
	}
	return program.Main(p)
}

// sendmailFlags are the options that clients of sendmail use. Those that
// Paperpath has no use for are taken and ignored.
func sendmailFlags() []cli.Flag {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "f", Usage: "the reverse path `ADDRESS`"},
		&cli.StringFlag{Name: "r", Usage: "the same as -f"},
		&cli.StringFlag{Name: "F", Usage: "the full `NAME` of the sender, where From is added"},
		&cli.BoolFlag{Name: "t", Usage: "take the recipients from To, Cc and Bcc, and remove Bcc"},
		&cli.BoolFlag{Name: "i", Usage: "a line with a lone dot does not end the message"},
		&cli.StringSliceFlag{Name: "o", Usage: "`OPTION`: i is -i, others are ignored"},
		&cli.StringFlag{Name: "b", Usage: "`MODE`: m takes a message, s speaks SMTP, p lists the queue, i reads the aliases"},
		&cli.BoolFlag{Name: "v", Usage: "print the key of the accepted message on standard error"},
	}
	for _, letter := range "ABCEGHJLNOQRSUVXcehpq" {
		flags = append(flags, &cli.StringSliceFlag{Name: string(letter), Hidden: true})
	}
	for _, letter := range "mnxM" {
		flags = append(flags, &cli.BoolFlag{Name: string(letter), Hidden: true})
	}
	return flags
}

// sendmail is the face without a verb.
func sendmail(ctx context.Context, f *program.Frame, c *cli.Context) error {
	switch c.String("b") {
	case "", "m":
	case "s":
		return submit.Stdin(ctx, f, submit.Submission, false, "")
	case "p":
		return mailq(ctx, f, c)
	case "i":
		return newaliases(ctx, f, c)
	default:
		return status.UsageError("mode -b%s is not supported", c.String("b"))
	}
	o := submit.Options{Recipients: c.Args().Slice(), FromHeader: c.Bool("t"), FullName: c.String("F"),
		IgnoreDots: c.Bool("i"), Verbose: c.Bool("v")}
	for _, word := range c.StringSlice("o") {
		o.IgnoreDots = o.IgnoreDots || word == "i"
	}
	for _, name := range []string{"r", "f"} {
		if c.IsSet(name) {
			o.Sender, o.SenderSet = c.String(name), true
		}
	}
	return submit.Message(f, o)
}

func smtpVerb() program.Verb {
	return program.Verb{
		Name:  "smtp",
		Usage: "speak SMTP on standard input and output, or listen",
		Flags: append(program.ServeFlags(),
			&cli.StringFlag{Name: "role", Value: "mx", Usage: "`ROLE`: mx takes mail for control/domains, submission takes it from users for any destination"}),
		Action: smtp,
	}
}

func smtp(ctx context.Context, f *program.Frame, c *cli.Context) error {
	role, err := submit.ParseRole(c.String("role"))
	if err != nil {
		return err
	}
	listens, err := program.Listens(c)
	switch {
	case err != nil:
		return err
	case listens:
		return submit.Listen(ctx, f, role, c.StringSlice("listen"), c.StringSlice("listen-tls"))
	}
	return submit.Stdin(ctx, f, role, c.Bool("tls"), c.String("env"))
}

func explainVerb() program.Verb {
	return program.Verb{
		Name:     "explain",
		Usage:    "say what would become of recipients of a local submitter, and why",
		Operands: "address ...",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "f", Usage: "the reverse path `ADDRESS`"},
			&cli.StringFlag{Name: "login", Usage: "as the authenticated `USER`, not as the local one"},
			&cli.BoolFlag{Name: "json", Usage: "print JSON, one object a line"},
		},
		Action: func(_ context.Context, f *program.Frame, c *cli.Context) error {
			return submit.Explain(f, c.String("f"), c.String("login"), c.Args().Slice(), c.Bool("json"))
		},
	}
}
