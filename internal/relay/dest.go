package relay

import (
	"time"

	"paperpath/internal/control"
	"paperpath/internal/smtpc"
)

// dest is what a pool knows of a destination. The pool's mutex guards it.
type dest struct {
	name     string
	allowed  int // sessions; it grows while the destination takes what it gets
	sessions int
	calling  int  // of them, that no host has greeted so far
	greeted  bool // a host has, at some time
	depth    int  // transactions under way in each of them
	leaving  int  // of them, that are about to end
	orders   int  // attempts that use it
	doubtful bool // it refused a session, or its last transaction had a 4xx or no end
	own      int  // the most sessions by control/destinations; 0: as any destination
	delay    time.Duration
	next     time.Time // before which no message may begin
	timed    bool      // the pool looks again at that time

	slowly bool          // it asked for less mail
	pause  time.Duration // between two messages, since then
	taken  int           // transactions without a 4xx since pause was set
}

// firstAllowed is how many sessions a destination has at first.
const firstAllowed = 2

// dest returns that of a name, which has an attempt more until done is called.
func (p *pool) dest(name string, depth int) (d *dest, done func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d, _ = p.named(name)
	d.depth = depth
	d.orders++
	return d, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		d.orders--
	}
}

// named returns the destination of a name. The caller holds mu.
func (p *pool) named(name string) (d *dest, isNew bool) {
	d = p.dests[name]
	if d == nil {
		d, isNew = &dest{name: name, allowed: firstAllowed}, true
		p.dests[name] = d
	}
	return d, isNew
}

// limit makes a destination keep to its row of control/destinations; nil: it has none.
func (p *pool) limit(d *dest, row *control.Destination) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d.own, d.delay = 0, 0
	if row != nil {
		d.own, d.delay = row.Sessions, row.Delay
	}
}

// attempts is how many attempts a destination may have at a time: enough that each of
// its sessions, and one more, finds its next messages waiting.
func (p *pool) attempts(name string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.dests[name]
	if d == nil {
		return perSession * (firstAllowed + 1)
	}
	return (perSession - 1 + max(d.depth, 1)) * (d.soon(p.limits()) + 1)
}

// bound is how many sessions it may have at most, whatever it takes.
func (d *dest) bound(b bounds) int {
	if d.own > 0 {
		return d.own
	}
	return b.destination
}

// most is how many sessions it may have.
func (d *dest) most(b bounds) int { return min(d.bound(b), d.allowed) }

// callers is how many sessions may be calling for each that is allowed.
const callers = 3

// room reports whether a session more may begin. A greeting allows one more, so one that has
// its own greeting before it needs no room: where the host has greeted before, three times as many again as
// are allowed may be calling. (1,000 messages at 40 ms: the twentieth session begins after four
// round trips, not after six, and most of the others after two.)
func (d *dest) room(b bounds) bool { return d.sessions < d.soon(b) }

// soon is how many sessions it may have when those that are calling are greeted.
func (d *dest) soon(b bounds) int {
	most := d.most(b)
	if d.greeted && !d.doubtful && !d.slowly {
		most = min(d.bound(b), (1+callers)*most)
	}
	return most
}

// ready reports whether a message may begin now. If not, the pool looks again when one
// may.
func (d *dest) ready(p *pool) bool {
	wait := time.Until(d.next)
	if d.between() == 0 || wait <= 0 {
		return true
	}
	if !d.timed {
		d.timed = true
		time.AfterFunc(wait, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			d.timed = false
			p.serveAll()
		})
	}
	return false
}

// begun notes that a message begins.
func (d *dest) begun() { d.next = time.Now().Add(d.between()) }

// heard notes the replies to a transaction. A 421 leaves one session; each transaction
// without a 4xx allows one more. (One more for each round of all sessions would take 19
// rounds to the 20 sessions of a far host: 1,000 messages at 40 ms took a sixth longer.)
func (d *dest) heard(res *smtpc.Result, b bounds) {
	worst := complaint(res)
	d.doubtful = worst != 0 || res.Err != nil
	switch {
	case worst == 421:
		d.refused()
	case !d.doubtful:
		d.took(max(b.destination, d.own))
	}
}

// complaint is a 4xx among the replies so far, 421 if that is there; 0: there is none.
func complaint(res *smtpc.Result) (worst int) {
	for _, r := range append([]smtpc.Reply{res.Mail, res.Data, res.Final, res.Words}, res.Rcpt...) {
		if r.Class() == 4 && worst != 421 {
			worst = r.Code
		}
	}
	return worst
}

// welcomed notes a greeting, or the answers to EHLO or to a session's first envelope: a round
// without a 4xx, which allows a session more, unless the destination is doubtful. A host that
// wants fewer sessions says 421 there. (1,000 messages at 40 ms: 2.4 s, not 2.5.)
func (d *dest) welcomed(b bounds) {
	d.greeted = true
	if !d.slowly && !d.doubtful {
		d.allowed = max(d.allowed, min(d.allowed+1, max(b.destination, d.own)))
	}
}

// refused notes that the destination wants fewer sessions.
func (d *dest) refused() { d.allowed, d.doubtful = 1, true }
