package main

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"paperpath/internal/control"
	"paperpath/internal/explain"
	"paperpath/internal/home"
	"paperpath/internal/program"
	"paperpath/internal/relay"
	"paperpath/internal/settle"
	"paperpath/internal/spool"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

func mailrelay() program.Program {
	via := &cli.StringFlag{Name: "via", Usage: "send to `HOST[:PORT]` instead of the hosts in control/routes and the DNS"}
	from := &cli.StringFlag{Name: "from", Usage: "the reverse path `ADDRESS`; empty is the null one"}
	level := &cli.StringFlag{Name: "tls", Usage: "the TLS that a host must have: a `LEVEL` of control/tls-policy, with its options"}
	return program.Program{
		Name: "mailrelay", Usage: "Send a message to other hosts by SMTP.",
		Operands: "[address ...] < message",
		Flags: []cli.Flag{
			from,
			&cli.StringSliceFlag{Name: "to", Usage: "a recipient's `ADDRESS`, like an operand"},
			via, level,
		},
		Action: one, Kind: program.Agent,
		Verbs: append(program.Stage{Inbox: spool.InboxRelay, Does: "send", Make: runner}.Verbs(),
			program.Verb{Name: "explain", Usage: "print through which hosts mail for an address goes, and why", Operands: "address ...", Kind: program.Person,
				Flags: append([]cli.Flag{from, via, level,
					&cli.BoolFlag{Name: "json", Usage: "print one JSON object a line"}}, replyFlags()...),
				Action: explainCommand},
			program.Verb{Name: "forget", Usage: "do not hold a host to the TLS that it had any more",
				Operands: "HOST[:PORT] ...", Kind: program.Person, Action: forget},
			program.Verb{Name: "probe", Usage: "show how a host answers a session that sends nothing", Operands: "[tls:]HOST[:PORT]", Kind: program.Person,
				Flags:  []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "print one JSON object"}},
				Action: probe}),
	}
}

// runner sends what is due.
func runner(h *home.Home) (*spool.Runner, error) {
	sessions, err := h.Concurrency("mailrelay")
	if err != nil {
		return nil, err
	}
	connecting, err := h.Concurrency("connecting")
	if err != nil {
		return nil, err
	}
	return relayOf(h, h.Settler().Settle).Runner(sessions, connecting), nil
}

// relayOf returns a relay that asks this process's resolver.
func relayOf(h *home.Home, settle func(*spool.Entry, []settle.Result) spool.Outcome) *relay.Relay {
	r := relay.New(h.Control, h.Log, h.Clock.Now, settle)
	r.DNS = h.DNS()
	return r
}

// newRelay returns the relay of this home, with --via and --tls if they are given.
func newRelay(h *home.Home, c *cli.Context) (*relay.Relay, error) {
	r := relayOf(h, nil)
	if via := c.String("via"); via != "" {
		var err error
		if r.Via, err = relay.ParseVia(via); err != nil {
			return nil, status.UsageError("--via: %v", err)
		}
	}
	if level := c.String("tls"); level != "" {
		if err := r.UseTLS("--tls", level); err != nil {
			return nil, status.UsageError("--tls: %v", err)
		}
	}
	return r, nil
}

// one sends the message on standard input.
func one(ctx context.Context, h *home.Home, c *cli.Context) error {
	to := append(c.StringSlice("to"), c.Args().Slice()...)
	switch {
	case !c.IsSet("from"):
		return status.UsageError("--from is required (--from '' is the null reverse path)")
	case len(to) == 0:
		return status.UsageError("no recipient (see mailrelay --help)")
	}
	r, err := newRelay(h, c)
	if err != nil {
		return err
	}
	defer r.Close()
	return r.One(ctx, h.Input(ctx), c.String("from"), to, func(a relay.Answer) {
		if a.Words != "" {
			fmt.Fprintf(h.Stdout, "<%s>: %s: %s\n", visible.Line(a.To), visible.Line(a.Host), visible.Line(a.Words))
		}
		if a.Err != nil {
			fmt.Fprintf(h.Stderr, "mailrelay: <%s>: %s\n", visible.Line(a.To), visible.Line(a.Err.Error()))
		}
	})
}

// explainCommand prints the decisions for each address.
func explainCommand(ctx context.Context, h *home.Home, c *cli.Context) error {
	r, err := newRelay(h, c)
	if err != nil {
		return err
	}
	if c.IsSet("reply") {
		return explainReply(h, c, r)
	}
	return program.Explain(h, c, func(address string, t *explain.Trail) error { return r.Explain(ctx, c.String("from"), address, t) })
}

// forget forgets what hosts could do.
func forget(_ context.Context, h *home.Home, c *cli.Context) error {
	if c.NArg() == 0 {
		return status.UsageError("no host (see mailrelay forget --help)")
	}
	r := relayOf(h, nil)
	for _, name := range c.Args().Slice() {
		host, had, err := r.Forget(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(h.Stdout, "%s: forgotten: %s\n", visible.Line(host), had)
	}
	return nil
}

// patienceOfPeople is how long a probe waits for a greeting or a reply.
const patienceOfPeople = time.Minute

// probe prints a session with a host.
func probe(ctx context.Context, h *home.Home, c *cli.Context) error {
	if c.NArg() != 1 {
		return status.UsageError("probe needs one host (see mailrelay probe --help)")
	}
	via, err := relay.ParseVia(c.Args().First())
	if err != nil || len(via.Targets) > 1 || !smtp(via.Targets[0]) {
		return status.UsageError("%q is not [tls:]HOST[:PORT]", c.Args().First())
	}
	r := relayOf(h, nil)
	r.Times.Greeting, r.Times.Hello = patienceOfPeople, patienceOfPeople
	p, probed := r.Probe(ctx, via.Targets[0])
	if c.Bool("json") {
		err = visible.JSON(h.Stdout, p)
	}
	for _, line := range p.Lines() {
		if err == nil && !c.Bool("json") {
			_, err = fmt.Fprintln(h.Stdout, visible.Line(line))
		}
	}
	return cmp.Or(err, probed)
}

func smtp(t control.RouteTarget) bool { return t.Kind == control.ToHost || t.Kind == control.ToTLS }
