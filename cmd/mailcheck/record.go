package main

import (
	"context"
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"paperpath/internal/check"
	"paperpath/internal/explain"
	"paperpath/internal/home"
	"paperpath/internal/maillog"
	"paperpath/internal/record"
	"paperpath/internal/status"
)

// caseOf is how mailcheck was called.
func caseOf(c *cli.Context) record.Case {
	given := func(name string) *string {
		if !c.IsSet(name) {
			return nil
		}
		v := c.String(name)
		return &v
	}
	return record.Case{From: given("from"), Client: given("client"), Helo: given("helo"), Login: given("login"), To: c.Args().Slice()}
}

// value is that of an option, or "".
func value(option *string) string {
	if option == nil {
		return ""
	}
	return *option
}

// recorded is judge with --record: all that the verdict depends on is kept.
func recorded(ctx context.Context, h *home.Home, c *cli.Context, do judging) error {
	r, err := record.Begin(c.String("record"), h.Control, h.DNS(), h.Clock.Now())
	if err != nil {
		return err
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
	k.Filters, k.Now = r.Filters, func() time.Time { return r.Time }
	var t explain.Trail
	verdict := do(k, s, &t)
	if err := r.End(caseOf(c), buf, &t); err != nil {
		return err
	}
	return verdict
}

// replay is judge with --replay: neither the home nor a network is used.
func replay(c *cli.Context, do judging) error {
	o := caseOf(c)
	if c.IsSet("record") || len(o.To) > 0 || o.From != nil || o.Client != nil || o.Helo != nil || o.Login != nil {
		return status.UsageError("--replay takes everything from the record")
	}
	r, err := record.Open(c.String("replay"))
	if err != nil {
		return err
	}
	defer r.Close()
	s, err := subjectOf(r.Control, r.Case)
	if err != nil {
		return err
	}
	s.Body = r.Message
	host, err := r.Control.Hostname()
	if err != nil {
		return err
	}
	k := &check.Checker{Control: r.Control, Host: host, DNS: r.DNS, Now: r.Now, Filters: r.Filters,
		Log: maillog.To(io.Discard, "mailcheck", r.Now)}
	return do(k, s, nil)
}
