package accept

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"paperpath/test/bench"
	"paperpath/test/bench/mta"
)

// patience is how long no message may arrive before the rest is given up.
const patience = 30 * time.Second

// longest is how long a measurement begins messages: a server that is slow gets as many as it takes
// in that time, and the others all of them.
const longest = 10 * time.Second

// message is one that is sent. Its body is that of many.
type message struct {
	id, to     string
	head, body []byte // as they travel
}

// ids are the names of messages.
func ids(list []message) []string {
	all := make([]string, len(list))
	for i, x := range list {
		all[i] = x.id
	}
	return all
}

// outcome is what one session, or all of them, brought about.
type outcome struct {
	took     []time.Duration // of each message that was accepted; in a session of one, of all of it
	accepted int
	last     time.Time // when the last one was accepted
	left     int       // messages that were not begun, for lack of time
	failed   int       // sessions
	why      error     // of the first
}

// add adds those of others.
func (o *outcome) add(x outcome) {
	o.took = append(o.took, x.took...)
	o.accepted += x.accepted
	o.left += x.left
	o.failed += x.failed
	if x.last.After(o.last) {
		o.last = x.last
	}
	if o.why == nil {
		o.why = x.why
	}
}

// send is one measurement of a server.
func (c *comparison) send(l load, name string) (res bench.Result, err error) {
	m, err := c.of(name)
	if err != nil {
		return res, err
	}
	list, err := c.messages(l)
	if err != nil {
		return res, err
	}
	boxes := m.Boxes.Of(c.recipients(l))
	arrivals, err := boxes.Watch()
	if err != nil {
		return res, err
	}
	defer arrivals.Close()
	spent, began := m.Server.Spent(), time.Now()
	o := l.run(m.Addr, list, began.Add(longest))
	delivered := arrivals.Await(o.accepted, patience)
	used := m.Server.Spent().Minus(spent)
	if o.failed > 0 {
		fmt.Fprintf(c.Progress, "%s: %d sessions failed: %v\n%s\n", m.Name, o.failed, o.why, m.Log())
	}
	sent := len(list) - o.left
	res = bench.Result{Value: float64(sent) / delivered.Sub(began).Seconds(), Awaited: sent, Figures: o.figures(began, used)}
	return res, boxes.Count(&res, ids(list), int64(l.size))
}

// figures are what the table has beside the rate of delivered messages.
func (o *outcome) figures(began time.Time, used bench.Spent) map[string]float64 {
	if o.accepted == 0 {
		return nil
	}
	n := float64(o.accepted)
	return map[string]float64{
		"accepted/s": n / o.last.Sub(began).Seconds(), "p50 ms": bench.Share(o.took, 0.5), "p99 ms": bench.Share(o.took, 0.99),
		"user ms": used.User * 1e3 / n, "system ms": used.System * 1e3 / n, "messages": n,
	}
}

// recipient is that of message i: each session has one, and all users have mail in turn.
func (c *comparison) recipient(l load, i int) string {
	session, sessions := i/l.each, max(1, l.total/l.each)
	return c.users[session*max(1, len(c.users)/sessions)%len(c.users)]
}

// recipients are all of them.
func (c *comparison) recipients(l load) (all []string) {
	for i := range l.total {
		all = append(all, c.recipient(l, i))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// messages makes what is sent. No two measurements have a Message-ID in common.
func (c *comparison) messages(l load) ([]message, error) {
	var text strings.Builder
	bench.Fill(&text, 0, l.size)
	body := wire(text.String())
	list := make([]message, l.total)
	for i := range list {
		c.sent++
		x := message{id: fmt.Sprintf("%d.x.bench.example", c.sent), to: c.recipient(l, i) + "@" + mta.Domain, body: body}
		head := fmt.Sprintf("From: <%s>\nTo: <%s>\nSubject: message %d\nDate: %s\nMessage-ID: <%s>\n",
			sender, x.to, i, time.Now().UTC().Format(time.RFC1123Z), x.id)
		if l.stranger {
			fields, err := c.signer.sign(head, text.String())
			if err != nil {
				return nil, err
			}
			head = fields + head
		}
		x.head = wire(head + "\n")
		list[i] = x
	}
	return list, nil
}

// wire is text as it travels, dots stuffed.
func wire(text string) []byte {
	return []byte(strings.ReplaceAll(strings.ReplaceAll(text, "\n.", "\n.."), "\n", "\r\n"))
}

// run sends the messages that it begins before a time, and returns when the last session has ended.
func (l load) run(addr string, list []message, until time.Time) (all outcome) {
	var work = make(chan []message, len(list))
	for some := range slices.Chunk(list, l.each) {
		work <- some
	}
	close(work)
	each := make([]outcome, l.atOnce)
	var wg sync.WaitGroup
	for i := range each {
		wg.Go(func() {
			for some := range work {
				each[i].add(l.session(addr, some, until))
			}
		})
	}
	wg.Wait()
	for _, o := range each {
		all.add(o)
	}
	return all
}
