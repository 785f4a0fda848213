package accept

import (
	"fmt"
	"slices"
	"strings"

	"paperpath/test/bench"
	"paperpath/test/bench/mta"
)

// allowed is how good a row must be beside Postfix for the run to pass.
const allowed = 0.5

// The sizes of messages.
const (
	usual  = 4 << 10
	large  = 100 << 10
	larger = 10 << 20
)

// load is what the client does: so many sessions at once, with so many messages each.
type load struct {
	atOnce, each, total int
	size                int
	tls                 bool
	stranger            bool // who signs
}

// String is the end of a row's name.
func (l load) String() string {
	if l.atOnce == 1 {
		return fmt.Sprintf("1 session x %d", l.each)
	}
	return fmt.Sprintf("%d sessions x %d", l.atOnce, l.each)
}

// shorter is the load in a short run.
func (l load) shorter() load {
	l.each = max(min(2, l.each), min(l.each, l.total/20/l.atOnce))
	l.total = max(l.total/20, l.atOnce*l.each)
	return l
}

// rows are all comparisons.
func (c *comparison) rows() (list []*bench.Row) {
	ninety := bench.Aim{Beside: mta.ReferenceName, Times: 0.9}
	ahead := bench.Aim{Beside: "Postfix", Times: 2.5}
	for _, l := range []load{
		{atOnce: 1, each: 1, total: 300}, {atOnce: 1, each: 100, total: 300},
		{atOnce: 10, each: 1, total: 1000}, {atOnce: 10, each: 100, total: 1000},
		{atOnce: 100, each: 1, total: 1000}, {atOnce: 100, each: 20, total: 2000},
	} {
		l.size = usual
		var but []string
		if l.atOnce == 100 {
			but = append(but, mta.OpenSMTPDName) // at most five connections wait for it (SMTPD_BACKLOG): of 100, some fail
		}
		row := c.row(l, "4 KiB", c.names(but...)...)
		row.Aims = []bench.Aim{ninety}
		if l.atOnce > 1 {
			row.Aims = append(row.Aims, ahead)
		}
		list = append(list, row)
	}
	secure := c.names(c.withoutTLS()...)
	list = append(list, c.row(load{atOnce: 10, each: 1, total: 500, size: usual, tls: true}, "TLS", secure...),
		c.row(load{atOnce: 10, each: 50, total: 500, size: usual, tls: true}, "TLS", secure...))
	list = append(list, c.checked())
	if c.Short {
		// They, too, have to deliver.
		list = append(list, c.row(load{atOnce: 1, each: 10, total: 200, size: usual}, "4 KiB", bench.Ours, mta.OpenSMTPDName, mta.EximName))
	}
	return append(list, c.row(load{atOnce: 10, each: 10, total: 200, size: large}, "100 KiB", c.names()...),
		c.row(load{atOnce: 2, each: 5, total: 10, size: larger}, "10 MiB", c.names()...))
}

// names are those of all servers but some. In a short run the slow ones are left out.
func (c *comparison) names(but ...string) (all []string) {
	if c.Short {
		but = append(but, mta.OpenSMTPDName, mta.EximName)
	}
	for _, m := range c.servers {
		if !slices.Contains(but, m.Name) {
			all = append(all, m.Name)
		}
	}
	return all
}

// withoutTLS are the servers that can have no session with TLS. The reference server has none.
// OpenSMTPD fails in each handshake, with keys of RSA as with those of elliptic curves, if it is
// older than 7.3 and built with OpenSSL 3, as in Debian 12 (6.8.0p2): its process for sessions has a
// stand-in for the key, whose calls another process answers, and OpenSSL 3 hands out a copy of a
// key, so that the stand-in is lost ("missing private key"). There is no setting without it.
func (c *comparison) withoutTLS() []string {
	all := []string{mta.ReferenceName}
	m, err := c.of(mta.OpenSMTPDName)
	if c.Short || err != nil {
		return all
	}
	session, err := load{tls: true}.enter(m.Addr)
	if err != nil {
		fmt.Fprintf(c.Progress, "%s takes no part with TLS: %v\n", m.Name, err)
		return append(all, m.Name)
	}
	session.Close()
	return all
}

// row compares servers.
func (c *comparison) row(l load, what string, servers ...string) *bench.Row {
	if c.Short {
		l = l.shorter()
	}
	row := &bench.Row{Name: fmt.Sprintf("smtp: %s, %v", what, l), Unit: "delivered/s", Faster: true, Warm: !c.Short, Least: allowed}
	for _, name := range servers {
		row.Entrants = append(row.Entrants, bench.Entrant{Name: name, Measure: func(int) (bench.Result, error) { return c.send(l, name) }})
	}
	return row
}

// checked has mail of a host outside, signed: with all default checks, and beside it without
// those that can be off, and Postfix, which has none of them.
func (c *comparison) checked() *bench.Row {
	row := c.row(load{atOnce: 10, each: 10, total: 500, size: usual, stranger: true}, "all default checks, signed mail", bench.Ours, "Postfix")
	send := row.Entrants[0].Measure
	off := func(turn int) (res bench.Result, err error) {
		var rows []string
		for _, name := range strings.Fields("from fields date message-id lines nul structure mime own-domain dnsbl filters iprev helo null-mx spf dkim dmarc") {
			rows = append(rows, name+": off")
		}
		if err := c.checks(rows...); err != nil {
			return res, err
		}
		if res, err = send(turn); err != nil {
			return res, err
		}
		return res, c.checks("# the defaults")
	}
	row.Entrants = append(row.Entrants, bench.Entrant{Name: "Paperpath, checks off", Measure: off})
	return row
}

// checks sets control/checks, from the next session on.
func (c *comparison) checks(rows ...string) error {
	if err := c.home.Set("checks", rows...); err != nil {
		return err
	}
	return c.home.Still("checks")
}
