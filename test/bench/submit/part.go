// Package submit is the part of make bench in which mail comes by the sendmail command, as cron
// and scripts call it: `sendmail recipient <message`, in turn and eight at once. Paperpath and Postfix
// deliver the messages to Maildirs, dma and nullmailer send them to a sink beside it. What is
// compared is how many commands end in a second; delivery goes on meanwhile.
package submit

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"paperpath/test/bench"
	"paperpath/test/bench/mta"
)

// Part is all of it.
func Part() bench.Part { return bench.Part{Name: "sendmail", Missing: missing, Measure: measure} }

// missing is what the machine lacks.
func missing() string { return mta.Missing("postfix", "dma", "nullmailer") }

const (
	users   = 20
	size    = 4 << 10
	few     = 200 // messages at most for those that take long, and send each by a process of its own
	allowed = 0.5 // how good a row must be beside Postfix for the run to pass

	// patience is how long no message may arrive before the rest is given up.
	patience = 30 * time.Second
)

// comparison is the run, and what there is in this part.
type comparison struct {
	*bench.Run
	dir     string
	spawner string
	servers []*mta.MTA
	sent    int // messages, for their names
}

func measure(run *bench.Run) (err error) {
	c := &comparison{Run: run, dir: filepath.Join(run.Dir, "submit")}
	if err := os.Mkdir(c.dir, 0o755); err != nil {
		return err
	}
	if c.spawner, err = mta.Helper("spawner"); err != nil {
		return err
	}
	defer func() {
		for _, m := range c.servers {
			m.Stop()
		}
	}()
	entrants, err := c.entrants()
	if err != nil {
		return err
	}
	n := 1000
	if c.Short {
		n = 20
	}
	var rows []*bench.Row
	for _, atOnce := range []int{1, 8} {
		row := &bench.Row{Name: fmt.Sprintf("sendmail: %d messages, %d at once", n, atOnce), Unit: "commands/s", Faster: true,
			Warm: !c.Short, Least: allowed, Aims: []bench.Aim{{Beside: "Postfix", Times: 3}}}
		for _, e := range entrants {
			row.Entrants = append(row.Entrants, bench.Entrant{Name: e.name, Measure: func(int) (bench.Result, error) { return e.measure(n, atOnce) }})
		}
		rows = append(rows, row)
	}
	return c.CompareAll(rows)
}

// entrant calls its sendmail command n times.
type entrant struct {
	name    string
	measure func(n, atOnce int) (bench.Result, error)
}

// entrants runs the servers.
func (c *comparison) entrants() ([]entrant, error) {
	ours, home, err := mta.Paperpath(c.Programs, c.dir, mta.Users(users))
	if err != nil {
		return nil, err
	}
	c.servers = append(c.servers, ours)
	certificate, err := mta.Certificate(home, c.dir)
	if err != nil {
		return nil, err
	}
	theirs, postfix, err := mta.Postfix(c.dir, certificate, mta.Users(users))
	if err != nil {
		return nil, err
	}
	c.servers = append(c.servers, theirs)
	return []entrant{
		{ours.Name, func(n, atOnce int) (bench.Result, error) {
			return c.local(ours, bench.Spawner{AtOnce: atOnce, Env: c.Programs.Env(home.Dir)}, c.Programs.Path("sendmail"), n)
		}},
		{theirs.Name, func(n, atOnce int) (bench.Result, error) {
			return c.local(theirs, bench.Spawner{AtOnce: atOnce, Env: postfix.Env()}, postfix.Sendmail(), n)
		}},
		{"dma", func(n, atOnce int) (bench.Result, error) { return c.remote(dma, min(n, few), atOnce) }},
		{"nullmailer", func(n, atOnce int) (bench.Result, error) { return c.remote(nullmailer, min(n, few), atOnce) }},
	}, nil
}

// messages writes n messages, each with a Message-ID of its own, to recipients that to returns.
func (c *comparison) messages(s bench.Spawner, n int, to func(i int) string) (ids []string, err error) {
	if err := os.Mkdir(s.Messages, 0o755); err != nil {
		return nil, err
	}
	for i := range n {
		c.sent++
		id := fmt.Sprintf("%d.sendmail.bench.example", c.sent)
		var b strings.Builder
		fmt.Fprintf(&b, "From: <root@bench.example>\nTo: <%s>\nSubject: message %d\nDate: %s\nMessage-ID: <%s>\n\n",
			to(i), i, time.Now().UTC().Format(time.RFC1123Z), id)
		bench.Fill(&b, i, size)
		if err := s.Write(i, to(i), b.String()); err != nil {
			return nil, fmt.Errorf("write a message: %w", err)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// complain says what went wrong with commands.
func (c *comparison) complain(name string, x bench.Spawned) {
	if x.Failed > 0 {
		fmt.Fprintf(c.Progress, "%s: %d of %d commands failed: %s\n", name, x.Failed, len(x.Took), x.Why)
	}
}
