package deliver

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/callout"
	"paperpath/internal/control"
	"paperpath/internal/route"
	"paperpath/internal/rules"
	"paperpath/internal/settle"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// nowhere is the file for mail that nobody wants.
const nowhere = "/dev/null"

// command gives an entry to the program or the file that a row of control/aliases names for
// its recipient. done is false where the recipient is a mailbox.
func (s *Stage) command(ctx context.Context, e *spool.Entry) (o spool.Outcome, done bool, err error) {
	c, err := route.CommandFor(s.Control, e.Envelope.To[0])
	switch {
	case err != nil:
		return o, true, route.WithGrace(e, s.Now(), err)
	case c == nil:
		return o, false, nil
	case os.Geteuid() == 0 && c.File != nowhere:
		return o, true, status.Temp("4.3.5", "an alias for a program or a file cannot be served",
			errors.New(c.Where+": maildeliver runs as root, and starts no program and writes no file of others as root"))
	}
	to, err := addr.Parse(e.Envelope.To[0].Addr)
	if err != nil {
		return o, true, status.Refuse("5.1.3", "the recipient is not a valid address")
	}
	if err := s.do(ctx, e, c, to); err != nil {
		return o, true, err
	}
	o = spool.DropBecause("done as " + c.Where + " says")
	if settle.Wants(e, 0, "SUCCESS") {
		o.Notices = s.Settle(e, []settle.Result{{Index: 0, Mailbox: "-"}}).Notices
	}
	return o, true, nil
}

// do runs the program, or appends to the file.
func (s *Stage) do(ctx context.Context, e *spool.Entry, c *control.Command, to addr.Address) error {
	as := s.mail(e, &control.User{Address: c.Alias, Home: "/"}, to).own("")
	in := io.NewSectionReader(as.message, 0, as.message.Size())
	switch {
	case c.File == nowhere:
		return nil
	case c.File != "":
		head := "Return-Path: <" + as.from.String() + ">\nDelivered-To: " + to.String() + "\n"
		return appendMbox(c.File, fromLine(as.from.String(), s.Now()), head, in)
	}
	call := callout.Call{Env: as.environment(&rules.Rules{}, extension(as.user, to)), Dir: "/", Input: in}
	_, err := run(ctx, call, command{string(e.Key), to.String(), strings.TrimSpace(c.Program), c.Where}, s.Log)
	return err
}
