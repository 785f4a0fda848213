package main

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
	name    string
	letters []letter
	awaited int           // recipients that can arrive
	limit   time.Duration // for one measurement; what has not arrived by then is late

	ours, theirs func(*comparison, *row, int) (result, error) // one measurement of each

	aim          float64 // how often as fast as Postfix we want to be; 0: no such aim
	within       float64 // seconds that mailrelay may take at most; 0: any
	generous     float64 // seconds that fail the run beyond; 0: limit
	memory       float64 // MiB that mailrelay may have at most; 0: any
	transactions int     // that mailrelay may need at most; 0: any
}

// rows are all comparisons. In a short run they have fewer messages.
func rows(short bool) []*row {
	far, near, crew := 1000, 2000, localMost
	if short {
		far, near, crew = 100, 500, 200
	}
	to := func(domain string) func(int) []string {
		return func(i int) []string { return []string{fmt.Sprintf("u%d@%s", i, domain)} }
	}
	spread := func(i int) []string { return to(fmt.Sprintf("d%d.bench.example", i%domains))(i) }
	some := func(i int) []string {
		if i%domains < silent {
			return to(fmt.Sprintf("s%d.bench.example", i%domains))(i)
		}
		return spread(i)
	}
	crowd := func(int) (all []string) {
		for i := range 1000 {
			all = append(all, fmt.Sprintf("r%d@near.bench.example", i))
		}
		return all
	}
	name := func(format string, args ...any) string { return fmt.Sprintf(format, args...) }
	list := []*row{
		{name: name("far host, %d messages", far), aim: 3, letters: letters(far, to("far.bench.example"))},
		{name: name("far host, %d messages, %s", far, inflight), aim: 5,
			letters: letters(far, to("inflight.bench.example"))},
		{name: name("near, %d messages to 1 domain", near), aim: 2,
			letters: letters(near, to("near.bench.example"))},
		{name: name("near, %d messages to %d domains", near, domains), aim: 2, letters: letters(near, spread)},
		{name: name("the same, %d of them silent", silent), letters: letters(near, some),
			awaited: near - near*silent/domains, within: 5, generous: 30, memory: 100},
		{name: "near, 1 message to 1000 recipients", letters: letters(1, crowd), awaited: 1000,
			within: 0.25, transactions: 10},
		{name: name("local, 1 message to %d recipients", crew), aim: 2, letters: locals(crew), awaited: crew,
			ours: (*comparison).oursLocal, theirs: (*comparison).theirsLocal},
	}
	for _, r := range list {
		if r.ours == nil {
			r.ours, r.theirs = (*comparison).ours, (*comparison).theirs
		}
		if r.limit = 2 * time.Minute; r.awaited == 0 {
			r.awaited = len(r.letters)
		}
	}
	return list
}
