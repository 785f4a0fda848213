package main

import (
	"context"
	"strings"

	"github.com/urfave/cli/v2"

	"paperpath/internal/auth"
	"paperpath/internal/control"
	"paperpath/internal/home"
	"paperpath/internal/mailctl"
	"paperpath/internal/program"
	"paperpath/internal/status"
)

func userVerb() program.Verb {
	return program.Verb{
		Name: "user", Usage: "add, change, remove and list the users", Operands: "verb ...",
		Verbs: []program.Verb{
			{Name: "add", Usage: "add a user and make the mailbox", Operands: "ADDRESS",
				Flags: passwordFlags(), Action: userAdd},
			{Name: "passwd", Usage: "give a user a new password", Operands: "ADDRESS",
				Flags: passwordFlags(), Action: userPasswd},
			{Name: "del", Usage: "remove a user", Operands: "ADDRESS", Action: userDel,
				Flags: []cli.Flag{&cli.BoolFlag{Name: "purge", Usage: "remove the mail too"}}},
			{Name: "list", Usage: "list the users", Action: userList},
			{Name: "wishes", Usage: "list the senders that a user wants or does not want", Operands: "ADDRESS", Action: userWishes},
			{Name: "allow", Usage: "never file mail of these senders as junk", Operands: "ADDRESS SENDER ...",
				Action: userWish(control.Allow)},
			{Name: "deny", Usage: "refuse mail of these senders", Operands: "ADDRESS SENDER ...",
				Action: userWish(control.Deny)},
			{Name: "unlist", Usage: "take senders out of both lists", Operands: "ADDRESS SENDER ...",
				Action: userWish(control.Indifferent)},
		},
	}
}

func passwordFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "password-stdin", Usage: "read the password from one line of standard input"},
		&cli.StringFlag{Name: "scheme",
			Usage: "hash the password with `SCHEME`: " + strings.Join(auth.Schemes(), ", ")},
	}
}

func users(h *home.Home) mailctl.Users {
	return mailctl.Users{Home: h.Dir, Control: h.Control, Out: h.Stdout, Notes: h.Stderr}
}

// password returns the function that asks for the password of address, as the options say.
func password(ctx context.Context, h *home.Home, c *cli.Context, address string) func() (string, error) {
	if c.Bool("password-stdin") {
		return func() (string, error) { return mailctl.PasswordLine(h.Input(ctx)) }
	}
	return func() (string, error) { return mailctl.PasswordPrompt(ctx, h.Stdin, h.Stderr, address) }
}

func userAdd(ctx context.Context, h *home.Home, c *cli.Context) error {
	address, err := operand(c, "ADDRESS")
	if err != nil {
		return err
	}
	return users(h).Add(address, c.String("scheme"), password(ctx, h, c, address))
}

func userPasswd(ctx context.Context, h *home.Home, c *cli.Context) error {
	address, err := operand(c, "ADDRESS")
	if err != nil {
		return err
	}
	return users(h).Passwd(address, c.String("scheme"), password(ctx, h, c, address))
}

func userDel(_ context.Context, h *home.Home, c *cli.Context) error {
	address, err := operand(c, "ADDRESS")
	if err != nil {
		return err
	}
	return users(h).Del(address, c.Bool("purge"))
}

func userList(_ context.Context, h *home.Home, c *cli.Context) error {
	if err := none(c); err != nil {
		return err
	}
	return users(h).List()
}

func userWishes(_ context.Context, h *home.Home, c *cli.Context) error {
	address, err := operand(c, "ADDRESS")
	if err != nil {
		return err
	}
	return users(h).Wishes(address)
}

// userWish edits the lists of a user.
func userWish(wish control.Wish) func(context.Context, *home.Home, *cli.Context) error {
	return func(_ context.Context, h *home.Home, c *cli.Context) error {
		if c.NArg() < 2 {
			return status.UsageError("%[1]s takes ADDRESS and one or more senders (see %[1]s --help)", c.App.Name)
		}
		return users(h).Wish(c.Args().First(), wish, c.Args().Tail())
	}
}
