package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"

	"github.com/urfave/cli/v2"

	"paperpath/internal/addr"
	"paperpath/internal/auth"
	"paperpath/internal/check"
	"paperpath/internal/control"
	"paperpath/internal/explain"
	"paperpath/internal/home"
	"paperpath/internal/maillog"
	"paperpath/internal/message"
	"paperpath/internal/program"
	"paperpath/internal/record"
	"paperpath/internal/route"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

func run() int {
	return program.Main(program.Program{
		Name:     "mailcheck",
		Usage:    "check the message on standard input and pass it on with the result",
		Operands: "[address ...] < message",
		Flags:    subjectFlags(),
		Action:   filter,
		// At 64 other mail systems bounce mail for a fault in their own settings.
		UsageStatus: status.TempFail,
		Verbs: append(program.Stage{Inbox: spool.InboxCheck, Does: "check", Make: runner}.Verbs(),
			program.Verb{Name: "explain", Usage: "print how the message on standard input is checked",
				Operands: "[address ...] < message",
				Flags:    append(subjectFlags(), &cli.BoolFlag{Name: "json", Usage: "print JSON"}),
				Action:   explainCommand},
			program.Verb{Name: "dkim", Usage: "print what the signatures of the message on standard input prove",
				Operands: "< message", Kind: program.Person,
				Flags:  []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "print JSON"}},
				Action: dkimCommand},
			spfVerb(), dmarcVerb()),
	})
}

func subjectFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "from", Usage: "the reverse path `ADDRESS`"},
		&cli.StringFlag{Name: "login", Usage: "sent by the authenticated `USER`"},
		&cli.StringFlag{Name: "client", Usage: "sent by the host with this IP `ADDRESS`"},
		&cli.StringFlag{Name: "helo", Usage: "the `NAME` that this host gave in HELO or EHLO"},
		&cli.StringFlag{Name: "record", Usage: "keep all that the verdict depends on in the new `DIRECTORY`"},
		&cli.StringFlag{Name: "replay", Usage: "check what is recorded in `DIRECTORY`, without a network"},
	}
}

func runner(h *home.Home) (*spool.Runner, error) {
	if _, err := h.Spool(); err != nil { // that the home is missing says more than that its hostname is
		return nil, err
	}
	k, err := checker(h)
	if err != nil {
		return nil, err
	}
	s := &check.Stage{Checker: k, Settle: h.Settler().Settle}
	return &spool.Runner{Handle: s.Handle}, nil
}

func checker(h *home.Home) (*check.Checker, error) {
	host, err := h.Control.Hostname()
	if err != nil {
		return nil, err
	}
	sp, err := h.Spool()
	if err != nil {
		return nil, err
	}
	return &check.Checker{Control: h.Control, Host: host, DNS: h.DNS(), Now: h.Clock.Now, Log: h.Log, Buffer: sp.Buffer}, nil
}

// filter passes the message on, with our results at the top. A message that does not pass is
// not passed on.
func filter(ctx context.Context, h *home.Home, c *cli.Context) error {
	return judge(ctx, h, c, func(k *check.Checker, s check.Subject, t *explain.Trail) error {
		checks := k.Session()
		defer checks.Close() // what filters have changed is read until then
		v := checks.Whole(ctx, s, t)
		k.Record(k.Log, "", v, maillog.Client{Addr: c.String("client"), Helo: s.Helo, Login: s.Login})
		if !v.Passes() {
			return answer(v, v.Reason())
		}
		out := check.WithResults(v, k.Host)
		if _, err := io.Copy(h.Stdout, io.NewSectionReader(out, 0, out.Size())); err != nil {
			return fmt.Errorf("write standard output: %w", err)
		}
		return nil
	})
}

// explainCommand prints how the message is checked.
func explainCommand(ctx context.Context, h *home.Home, c *cli.Context) error {
	return judge(ctx, h, c, func(k *check.Checker, s check.Subject, t *explain.Trail) error {
		if t == nil {
			t = &explain.Trail{}
		}
		v := k.Message(ctx, s, t)
		if err := t.Write(h.Stdout, c.Bool("json")); err != nil {
			return err
		}
		return answer(v, "") // the explanation says why
	})
}

// answer is the exit status of a verdict, with a text for standard error.
func answer(v check.Verdict, text string) error {
	switch v.Action {
	case control.CheckRefuse:
		return &status.Error{Exit: status.Refused, Text: text}
	case control.CheckHold:
		if text != "" {
			text = "held: " + text
		}
		return &status.Error{Exit: status.TempFail, Text: text}
	case control.CheckDefer:
		return &status.Error{Exit: status.TempFail, Text: text}
	}
	return nil // of a message that is discarded nothing is left
}

// judging checks a message. t is nil unless what it explains is recorded.
type judging func(k *check.Checker, s check.Subject, t *explain.Trail) error

// judge calls do with the message on standard input, or with that of a record.
func judge(ctx context.Context, h *home.Home, c *cli.Context, do judging) error {
	if c.IsSet("replay") {
		return replay(c, do)
	}
	if c.IsSet("record") {
		return recorded(ctx, h, c, do)
	}
	s, buf, err := subject(ctx, h, c)
	if err != nil {
		return err
	}
	defer buf.Close()
	k, err := checker(h)
	if err != nil {
		return err
	}
	return do(k, s, nil)
}

// dkimCommand prints what the signatures of the message prove.
func dkimCommand(ctx context.Context, h *home.Home, c *cli.Context) error {
	if c.Args().Present() {
		return status.UsageError("unexpected operand %q (the message is on standard input)", c.Args().First())
	}
	var t explain.Trail
	err := check.DKIM(ctx, h.Input(ctx), h.DNS(), h.Clock.Now, &t)
	return said(h, c, &t, err)
}

// subject reads the message and the options. The caller closes the buffer.
func subject(ctx context.Context, h *home.Home, c *cli.Context) (check.Subject, *message.Buffer, error) {
	s, err := subjectOf(h.Control, caseOf(c))
	if err != nil {
		return s, nil, err
	}
	sp, err := h.Spool()
	if err != nil {
		return s, nil, err
	}
	limit, err := h.Control.Databytes()
	if err != nil {
		return s, nil, err
	}
	buf := sp.Buffer()
	// One octet beyond the limit is enough to refuse it.
	_, err = io.Copy(buf, io.LimitReader(h.Input(ctx), limit+1))
	switch {
	case err != nil:
		err = fmt.Errorf("read standard input: %w", err)
	case buf.Size() == 0:
		err = status.Refuse("5.6.0", "no message on standard input")
	}
	if err != nil {
		buf.Close()
		return s, nil, err
	}
	s.Body = buf
	return s, buf, nil
}

// subjectOf is what the options say about the message, and what the settings say of them.
func subjectOf(c *control.Control, o record.Case) (check.Subject, error) {
	s := check.Subject{Helo: value(o.Helo)}
	if login := value(o.Login); login != "" {
		var err error
		if s.Login, _, err = auth.AddressOf(c, login); err != nil { // as servers read it
			return s, err
		}
	}
	// Other mail servers leave it empty for what their own users submit.
	if client := value(o.Client); client != "" {
		ip, err := netip.ParseAddr(client)
		if err != nil {
			return s, status.UsageError("--client %q is not an IP address", client)
		}
		s.Client, s.SMTPPeer = ip, s.Login == ""
	}
	if from := value(o.From); from != "" && from != "<>" {
		a, err := addr.Parse(from)
		if err != nil {
			return s, status.UsageError("--from: %v", err)
		}
		s.Envelope.From.Addr = a.String()
	}
	for _, to := range o.To {
		a, err := addr.Parse(to)
		if err != nil {
			return s, status.UsageError("recipient %v", err)
		}
		s.Envelope.To = append(s.Envelope.To, spool.Recipient{Addr: a.String()})
	}
	networks, err := c.RelayFrom()
	if err != nil {
		return s, err
	}
	s.Trusted = networks.Has(s.Client)
	s.Resolve = func(a addr.Address) ([]addr.Address, error) { return route.Addresses(c, a) }
	return s, nil
}
