package relay

import (
	"context"

	"paperpath/internal/smtpc"
	"paperpath/internal/spool"
)

// order is a transaction that waits for a session, or is under way in one.
type order struct {
	ctx     context.Context
	terms   terms
	dest    *dest
	m       *Message
	batch   []int
	calling bool            // its destination counts it
	tries   int             // sessions for it that could not be opened
	out     chan<- *order   // gets it at the end, and has room for it
	greeted chan<- struct{} // gets word when the host that its session begins at has greeted, if it has room

	t        *transaction  // in the session that had it
	res      *smtpc.Result // nil: nothing was sent
	unopened *failure      // there was no session for it
	stopped  bool
}

// called notes that the host of the session that begins for it has greeted, or never will.
func (o *order) called() {
	if o.calling {
		o.calling = false
		o.dest.calling--
	}
}

// end hands the order back.
func (o *order) end() { o.out <- o }

// fail ends an order without a session. Each order has a copy of the failure, since its
// attempt judges it.
func (o *order) fail(f *failure) {
	own := *f
	err := *f.err
	own.err = &err
	o.unopened = &own
	o.end()
}

// errand is the work of one attempt at one host: recipients in transactions.
type errand struct {
	*pool
	ctx     context.Context
	terms   terms
	dest    *dest
	m       *Message
	out     chan *order
	waiting []*order
	later   []int // recipients for another transaction
	failed  map[int]*failure
	over    *failure // for all recipients without a result so far
	heard   bool     // there was a session

	up      <-chan struct{} // closed once there is a session to wait for
	greeted chan struct{}   // a host has greeted a session that begins for one of the orders
	back    func()          // where it waits for one of these: it holds no worker of the runner then
}

// depth is how many transactions of a session are under way at a time.
func (t terms) depth() int { return max(t.inflight, 1) }

// recipients is how many recipients a transaction has at most, as far as is known.
func (t terms) recipients() int {
	if t.most > 0 {
		return min(t.most, maxRecipients)
	}
	return maxRecipients
}

// send sends m to the recipients todo on these terms, in as many transactions as the
// host requires, and returns the failures by recipient; recipients without one are done.
// The failure is that of opening, if there was no session at all.
func (p *pool) send(ctx context.Context, d *dest, t terms, m *Message, todo []int) (map[int]*failure, *failure) {
	e := &errand{pool: p, ctx: ctx, terms: t, dest: d, m: m, out: make(chan *order, len(todo)),
		greeted: make(chan struct{}, 1), failed: map[int]*failure{}}
	e.begin(todo)
	defer e.resume()
	for len(e.waiting) > 0 {
		e.take(e.await())
	}
	if !e.heard && e.over != nil {
		return nil, e.over
	}
	return e.failed, nil
}

// begin orders transactions for recipients.
func (e *errand) begin(todo []int) {
	most := e.recipients(e.terms)
	for len(todo) > 0 {
		if e.over != nil {
			fail(e.failed, todo, e.over)
			return
		}
		o := &order{ctx: e.ctx, terms: e.terms, dest: e.dest, m: e.m, out: e.out, greeted: e.greeted, batch: todo[:min(len(todo), most)]}
		todo = todo[len(o.batch):]
		e.waiting = append(e.waiting, o)
		e.up = e.put(o)
	}
	if e.back == nil && len(e.waiting) > 0 && !closed(e.up) {
		e.back = spool.Apart(e.ctx)
	}
}

// resume notes that it does not wait for a greeting any more.
func (e *errand) resume() {
	if e.back != nil {
		e.back()
	}
	e.up, e.back = nil, nil
}

// await waits for the end of an order.
func (e *errand) await() *order {
	for {
		up, greeted := e.up, e.greeted
		if e.back == nil {
			up, greeted = nil, nil
		}
		select {
		case o := <-e.out:
			return o
		case <-up:
			e.resume()
			continue
		case <-greeted:
			e.resume()
			continue
		case <-e.ctx.Done():
		}
		e.withdraw(e.waiting)
		return <-e.out // what is under way has its own limits
	}
}

// take takes the result of an order.
func (e *errand) take(o *order) {
	for i, w := range e.waiting {
		if w == o {
			e.waiting = append(e.waiting[:i], e.waiting[i+1:]...)
			break
		}
	}
	switch {
	case o.stopped:
		e.heard = true
		e.over = stopped(e.terms.host)
		fail(e.failed, o.batch, e.over)
	case o.unopened != nil:
		e.over = o.unopened
		fail(e.failed, o.batch, e.over)
	default:
		e.heard = true
		var later []int
		if o.res != nil {
			later = o.t.conclude(o.res)
		}
		for i, f := range o.t.failed {
			e.failed[i] = f
		}
		if o.t.over != nil {
			e.over = o.t.over
		}
		if o.t.fits > 0 {
			e.learn(e.terms, o.t.fits)
		}
		e.later = append(e.later, later...)
	}
	if most := e.recipients(e.terms); len(e.waiting) == 0 || e.over != nil {
		e.begin(e.later)
		e.later = nil
	} else if full := len(e.later) / most * most; full > 0 {
		e.begin(e.later[:full])
		e.later = e.later[full:]
	}
}

// recipients is how many recipients a transaction may have.
func (p *pool) recipients(t terms) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.lines[t]; l != nil {
		return l.rcpts
	}
	return t.recipients()
}

// learn notes how many recipients the host takes in a transaction.
func (p *pool) learn(t terms, most int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.lines[t]; l != nil {
		l.rcpts = min(l.rcpts, most)
	}
}
