package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"paperpath/internal/home"
	"paperpath/internal/mailctl"
)

// smarthostFlags are the options of init for a null client.
func smarthostFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "smarthost", Usage: "a null client: all mail goes to `HOST[:PORT]`, nothing listens"},
		&cli.StringFlag{Name: "user", Usage: "log in there as `NAME`"},
		&cli.StringFlag{Name: "address", Usage: "the account's `ADDRESS` (default: NAME), which stands for this machine"},
		&cli.StringFlag{Name: "mechanism", Usage: "log in by `MECHANISM` (default: the best that the host offers)"},
		&cli.BoolFlag{Name: "password-stdin", Usage: "read the password from one line of standard input"},
		&cli.StringFlag{Name: "password-command", Usage: "a `COMMAND` prints the password or token at each login"},
	}
}

// smarthost is what the options say; nil: there are none.
func smarthost(ctx context.Context, h *home.Home, c *cli.Context) *mailctl.Smarthost {
	any := false
	for _, f := range smarthostFlags() {
		any = any || c.IsSet(f.Names()[0])
	}
	if !any {
		return nil
	}
	return &mailctl.Smarthost{To: c.String("smarthost"), User: c.String("user"), Address: c.String("address"),
		Mechanism: c.String("mechanism"), Command: c.String("password-command"), Password: password(ctx, h, c, c.String("user"))}
}
