package relay

import (
	"fmt"
	"strings"
	"time"

	"paperpath/test/bench"
)

const (
	sender  = "sender@bench.example"
	size    = 4 << 10 // octets of a message
	domains = 50
	silent  = 5 // of the domains, where there are silent ones

	inflight = "inflight=4" // behind a route: so many messages before the first reply
)

// letter is a message with its recipients, which no other message has.
type letter struct {
	to   []string
	text string
}

// letters makes n messages, of which each goes to the recipients that to returns.
func letters(n int, to func(i int) []string) []letter {
	list := make([]letter, n)
	for i := range list {
		var b strings.Builder
		fmt.Fprintf(&b, "From: <%s>\nTo: <somebody@bench.example>\nSubject: message %d\n"+
			"Date: Sun, 22 Nov 2026 20:12:59 +0000\nMessage-ID: <%d@bench.example>\n\n", sender, i, i)
		bench.Fill(&b, i, size)
		list[i] = letter{to(i), b.String()}
	}
	return list
}

// row is one comparison.
type row struct {
	bench.Row
	letters []letter
	awaited int           // recipients that can arrive
	limit   time.Duration // for one measurement; what has not arrived by then is late
}

// beside makes a row that aims to be so often as fast as Postfix; 0: no such aim.
func (c *comparison) beside(times float64, letters []letter, awaited int, format string, args ...any) *row {
	r := &row{letters: letters, awaited: awaited, limit: 2 * time.Minute}
	r.Row = bench.Row{Name: "relay: " + fmt.Sprintf(format, args...), Unit: "s", Entrants: []bench.Entrant{
		{Name: bench.Ours, Measure: func(int) (bench.Result, error) { return c.ours(r) }},
		{Name: "Postfix", Measure: func(int) (bench.Result, error) { return c.theirs(r) }},
	}}
	if times > 0 {
		r.Aims = []bench.Aim{{Beside: "Postfix", Times: times}}
	}
	if c.Short {
		r.Turns = 1
	}
	return r
}

// rows are all comparisons. In a short run they have fewer messages.
func (c *comparison) rows() []*row {
	far, near, crew := 1000, 2000, localMost
	if c.Short {
		far, near, crew = 100, 500, 200
	}
	list := []*row{
		c.beside(3, letters(far, to("far.bench.example")), far, "far host, %d messages", far),
		c.beside(5, letters(far, to("inflight.bench.example")), far, "far host, %d messages, %s", far, inflight),
		c.beside(2, letters(near, to("near.bench.example")), near, "near, %d messages to 1 domain", near),
		c.beside(2, letters(near, spread), near, "near, %d messages to %d domains", near, domains),
	}
	some := c.beside(0, letters(near, some), near-near*silent/domains, "the same, %d of them silent", silent)
	some.Bounds = []bench.Bound{{Aim: 5, Most: 30}, {Figure: peak, Aim: 100, Most: 100}}
	crowd := c.beside(0, letters(1, crowd), 1000, "near, 1 message to 1000 recipients")
	crowd.Bounds = []bench.Bound{{Aim: 0.25}, {Figure: transactions, Aim: 10, Most: 10}}
	local := c.beside(2, locals(crew), crew, "local, 1 message to %d recipients", crew)
	local.Entrants[0].Measure = func(int) (bench.Result, error) { return c.oursLocal(local) }
	local.Entrants[1].Measure = func(turn int) (bench.Result, error) { return c.theirsLocal(local, turn) }
	return append(list, some, crowd, local)
}

// to is a recipient of its own at a domain for each message.
func to(domain string) func(int) []string {
	return func(i int) []string { return []string{fmt.Sprintf("u%d@%s", i, domain)} }
}

// spread is one at many domains, in turn.
func spread(i int) []string { return to(fmt.Sprintf("d%d.bench.example", i%domains))(i) }

// some is spread, with silent hosts.
func some(i int) []string {
	if i%domains < silent {
		return to(fmt.Sprintf("s%d.bench.example", i%domains))(i)
	}
	return spread(i)
}

// crowd is many recipients at one domain.
func crowd(int) (all []string) {
	for i := range 1000 {
		all = append(all, fmt.Sprintf("r%d@near.bench.example", i))
	}
	return all
}
