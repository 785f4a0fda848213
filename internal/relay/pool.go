package relay

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"paperpath/internal/smtpc"
	"paperpath/internal/status"
)

// pool keeps sessions, and finds one for each transaction that is to be sent. A session
// goes on with whatever waits on the same terms, and ends when nothing has come for
// idleTime.
type pool struct {
	open    func(ctx context.Context, t terms, key string) (*session, *failure)
	read    func() bounds
	hosts   *hosts
	now     func() time.Time
	heard   func(destination string)     // it has greeted, or a session for it is open
	trouble func(host string, err error) // a panic in its session
	all     sync.WaitGroup               // goroutines, each of which has a session

	slowPause time.Duration // between two messages to a destination that has just asked for less
	slowReply time.Duration // a host that needs more for its last reply is slow

	mu      sync.Mutex
	bounds  bounds
	readAt  time.Time
	lines   map[terms]*line
	dests   map[string]*dest
	at      map[netip.Addr]int   // sessions by address
	booked  map[string]time.Time // by destination with a rate: until when it is full
	idle    []*kept              // the longest idle first
	opening int                  // sessions without a greeting so far, and slow ones
	brisk   int                  // the others
	asking  []*place             // sessions that wait to be among them
	ended   bool
}

const (
	idleTime  = 2 * time.Second // a session waits for the next message
	slowReply = 5 * time.Second // a host that needs more is slow
	maxDests  = 10000           // destinations whose sessions are remembered
	boundsAge = time.Second     // after which the settings are read again
)

// line is what waits on the same terms, and the sessions there.
type line struct {
	terms
	queue    []*order
	sessions int           // of any kind
	ready    int           // that have answered EHLO, and are used further
	open     []*kept       // that have answered EHLO
	up       chan struct{} // closed while there is a ready one
	looked   time.Time     // when the memory was last asked whether they are stale
	rcpts    int           // recipients that the host takes in a transaction
}

func newPool(r *Relay) *pool {
	return &pool{open: r.begin, read: r.bounds, hosts: r.known, now: r.Now,
		heard:   func(name string) { r.reach.reached(name); r.known.answered(name, r.Now()) },
		trouble: func(host string, err error) { r.Log.Trouble("", "relay to "+host, err) },

		slowPause: slowPause, slowReply: slowReply,

		lines: map[terms]*line{}, dests: map[string]*dest{}, at: map[netip.Addr]int{},
		booked: map[string]time.Time{}}
}

// line returns that of the terms. The caller holds mu.
func (p *pool) line(t terms) *line {
	l := p.lines[t]
	if l == nil {
		l = &line{terms: t, up: make(chan struct{}), rcpts: t.recipients()}
		p.lines[t] = l
	}
	return l
}

// limits returns the bounds in force. The caller holds mu.
func (p *pool) limits() bounds {
	if now := time.Now(); p.readAt.IsZero() || now.Sub(p.readAt) > boundsAge {
		p.bounds, p.readAt = p.read(), now
	}
	return p.bounds
}

// put lets an order wait for a session. The channel is closed once a session on its
// terms is open.
func (p *pool) put(o *order) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.line(o.terms)
	l.queue = append(l.queue, o)
	p.serve(l)
	return l.up
}

// serve finds sessions for the orders that wait in a line: an idle one, or a new one
// where the orders are many for those that are open. The caller holds mu.
func (p *pool) serve(l *line) {
	for len(l.queue) > 0 {
		if p.hire(l) {
			continue
		}
		if l.sessions > 0 && len(l.queue) <= (1+l.depth())*l.sessions || !p.begin(l) {
			return
		}
	}
	if l.sessions == 0 {
		delete(p.lines, l.terms)
	}
}

// serveAll is serve for all lines, after room has been made.
func (p *pool) serveAll() {
	for _, l := range p.lines {
		p.serve(l)
	}
}

// hire gives an order to an idle session.
func (p *pool) hire(l *line) bool {
	for i, k := range p.idle {
		if k.line != l {
			continue
		}
		o := p.pop(k)
		if o == nil {
			continue
		}
		p.idle = slices.Delete(p.idle, i, i+1)
		k.give <- o
		return true
	}
	return false
}

// begin opens a session for the first order that may have one.
func (p *pool) begin(l *line) bool {
	b := p.limits()
	addr := l.host.addr.Addr()
	for i, o := range l.queue {
		if !o.dest.room(b) {
			p.dismiss(func(k *kept) bool { return k.dest == o.dest && k.line != l })
			continue
		}
		if !o.dest.ready(p) {
			continue
		}
		if p.opening >= b.opening || p.at[addr] >= b.host {
			p.dismiss(func(k *kept) bool { return k.line.host.addr.Addr() == addr && k.line != l })
			return false
		}
		l.queue = slices.Delete(l.queue, i, i+1)
		o.dest.sessions++
		o.dest.calling++
		o.calling = true
		p.at[addr]++
		p.opening++
		l.sessions++
		p.all.Go(func() { p.work(l, o) })
		return true
	}
	return false
}

// isOpen reports whether there is a session on these terms.
func (p *pool) isOpen(t terms) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.lines[t]
	return l != nil && l.ready > 0
}

// dismiss ends the session that is idle for longest of those that are meant, to make
// room for another.
func (p *pool) dismiss(meant func(*kept) bool) {
	if i := slices.IndexFunc(p.idle, meant); i >= 0 {
		p.idle[i].give <- nil
		p.idle = slices.Delete(p.idle, i, i+1)
	}
}

// pop takes the next order that a session may have from its line. The caller holds mu.
func (p *pool) pop(k *kept) *order {
	b := p.limits()
	for i, o := range k.line.queue {
		if o.dest != k.dest && !o.dest.room(b) || !o.dest.ready(p) {
			continue
		}
		k.line.queue = slices.Delete(k.line.queue, i, i+1)
		k.dest.sessions--
		o.dest.sessions++
		k.dest = o.dest
		o.dest.begun()
		return o
	}
	return nil
}

// withdraw takes orders that no session has begun out of their lines.
func (p *pool) withdraw(list []*order) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range list {
		l := p.lines[o.terms]
		if l == nil {
			continue
		}
		if i := slices.Index(l.queue, o); i >= 0 {
			l.queue = slices.Delete(l.queue, i, i+1)
			o.stopped = true
			o.out <- o
		}
	}
}

// work opens a session for an order and lets it go on with what waits. It is a
// goroutine of its own.
func (p *pool) work(l *line, o *order) {
	addr, began := l.host.addr.String(), p.now()
	known := p.hosts.isKnown(addr, began)
	var s *session
	var f *failure
	ctx := smtpc.OnGreeting(o.ctx, func() { p.greeted(l, o) })
	if err := status.Guard(func() error { s, f = p.open(ctx, l.terms, o.m.Key); return nil }); err != nil {
		p.trouble(l.host.name, err)
		f = &failure{host: l.host, ours: true, err: classified(err)}
	}
	if f != nil {
		p.unopened(l, o, f, began)
		return
	}
	p.hosts.answered(addr, p.now())
	k := p.opened(l, s, o)
	p.admit(k, known)
	err := status.Guard(func() error {
		for o != nil {
			k.run(o)
			o = k.rest()
		}
		return nil
	})
	if err != nil {
		k.crashed(err)
	}
	p.leave(k)
}

// greeted notes that a host has greeted: it answers, so that more attempts and sessions may
// begin while this one says EHLO.
func (p *pool) greeted(l *line, o *order) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard(o.dest.name)
	o.called()
	o.dest.welcomed(p.limits())
	p.serve(l)
	select {
	case o.greeted <- struct{}{}:
	default:
	}
}

// opened notes that a session is open.
func (p *pool) opened(l *line, s *session, o *order) *kept {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.limits()
	k := &kept{pool: p, session: s, line: l, dest: o.dest, give: make(chan *order, 1), began: time.Now(),
		left: b.messages, until: time.Now().Add(b.time)}
	k.style(p.hosts.style(l.host.addr.String(), p.now()))
	l.open = append(l.open, k)
	if l.ready++; l.ready == 1 {
		close(l.up)
	}
	o.dest.begun()
	p.heard(o.dest.name)
	o.called()
	o.dest.welcomed(b)
	p.serve(l)
	return k
}

// unopened ends the wait of an order whose session could not be opened. It waits for
// another session where there is one; where there is none, all that wait have the same
// failure.
func (p *pool) unopened(l *line, o *order, f *failure, began time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opening--
	p.at[l.host.addr.Addr()]--
	l.sessions--
	o.dest.sessions--
	o.called()
	o.tries++
	if (f.silent || f.refuses) && l.ready == 0 && o.ctx.Err() == nil {
		p.hosts.failed(l.host.addr.String(), f, began, p.now())
	}
	switch {
	case l.sessions > 0 && o.tries < maxTries && o.ctx.Err() == nil:
		o.dest.refused()
		l.queue = slices.Insert(l.queue, 0, o)
	case l.sessions > 0:
		o.fail(f)
	default:
		o.fail(f)
		for _, other := range l.queue {
			other.fail(f)
		}
		l.queue = nil
	}
	p.forget(l)
	p.serveAll()
}

// maxTries is how many sessions an order may see fail to open.
const maxTries = 3

// forget drops what is at rest. The caller holds mu.
func (p *pool) forget(l *line) {
	if addr := l.host.addr.Addr(); p.at[addr] <= 0 {
		delete(p.at, addr)
	}
	if l.sessions == 0 && len(l.queue) == 0 {
		delete(p.lines, l.terms)
	}
	if len(p.dests) > maxDests {
		for name, d := range p.dests {
			if d.sessions == 0 && d.orders == 0 {
				delete(p.dests, name)
			}
		}
	}
}

// leave ends a session.
func (p *pool) leave(k *kept) {
	p.mu.Lock()
	k.unready()
	p.mu.Unlock()
	k.smtp.Quit() // in a flight of its own
	p.mu.Lock()
	defer p.mu.Unlock()
	p.release(k)
	k.line.open = slices.DeleteFunc(k.line.open, func(other *kept) bool { return other == k })
	k.line.sessions--
	k.dest.sessions--
	if k.leaving {
		k.dest.leaving--
	}
	p.at[k.line.host.addr.Addr()]--
	p.forget(k.line)
	p.serveAll()
}

// end ends all sessions once they are idle, and waits for them.
func (p *pool) end() {
	p.mu.Lock()
	p.ended = true
	for _, k := range p.idle {
		k.give <- nil
	}
	p.idle = nil
	p.mu.Unlock()
	p.all.Wait()
}
