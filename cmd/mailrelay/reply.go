package main

import (
	"github.com/urfave/cli/v2"

	"paperpath/internal/addr"
	"paperpath/internal/explain"
	"paperpath/internal/home"
	"paperpath/internal/relay"
	"paperpath/internal/status"
)

// replyFlags are the options of explain for a reply.
func replyFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "reply",
			Usage: "print which rule decides about the refusal `TEXT`, and what becomes of the recipient"},
		&cli.StringFlag{Name: "host", Usage: "with --reply: the `HOST` that sent it"},
	}
}

// explainReply prints what a reply means. The operand, if there is one, is the recipient
// or its domain.
func explainReply(h *home.Home, c *cli.Context, r *relay.Relay) error {
	if c.NArg() > 1 {
		return status.UsageError("--reply explains the reply to one recipient")
	}
	domain := c.Args().First()
	if _, after := addr.Split(domain); after != "" {
		domain = after
	}
	var t explain.Trail
	end, err := r.ExplainReply(c.String("reply"), c.String("host"), domain, t.Add)
	if err != nil {
		return err
	}
	t.End(end)
	return t.Write(h.Stdout, c.Bool("json"))
}
