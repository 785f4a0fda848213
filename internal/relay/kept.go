package relay

import (
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"paperpath/internal/smtpc"
	"paperpath/internal/status"
)

// kept is an open session of a pool. Its goroutine alone talks to the host.
type kept struct {
	*session
	pool   *pool
	line   *line
	dest   *dest       // of its last order; the pool's mutex guards it
	give   chan *order // what an idle session is to do; nil: end
	began  time.Time
	until  time.Time // it ends then, if not before
	left   int       // messages that it may still send
	count  int       // transactions that have ended
	alone  bool      // nothing may go out behind the end of a text
	broken bool      // it ended between the end of a text and the answer
	fresh  bool      // the next transaction begins after a rest, or is the first
	done   bool      // nothing more is to be sent
	slow   bool

	under   []*order // given to the engine, without a result so far
	stale   bool     // the host can do better TLS
	leaving bool     // its destination counts it among those that are about to end
	took    bool     // the host has accepted a message
}

// style makes a session do what the host bears.
func (k *kept) style(s style) {
	k.alone = s.alone
	if s.most > 0 {
		k.left = min(k.left, s.most)
	}
}

// run sends an order, and those that wait on the same terms.
func (k *kept) run(o *order) {
	k.fresh = true
	k.left--
	first := k.message(o)
	if first == nil {
		first = k.next()
	}
	if first != nil {
		k.smtp.Send(k.options(), first, k.next)
	}
}

// options are how the session sends.
func (k *kept) options() smtpc.Options {
	o := smtpc.Options{Pipeline: true, Chunk: true, Ahead: !k.alone}
	if o.Ahead {
		o.Inflight = k.inflight
	}
	return o
}

// next returns the message after the one that is being sent, nil if there is none now.
func (k *kept) next() *smtpc.Message {
	for {
		o := k.take()
		if o == nil {
			return nil
		}
		if m := k.message(o); m != nil {
			return m
		}
	}
}

// take takes the next order from the line, unless the session is to end.
func (k *kept) take() *order {
	p := k.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	k.done = k.done || k.stale || k.left <= 0 || time.Now().After(k.until) || k.surplus()
	if k.done {
		return nil
	}
	o := p.pop(k)
	if o != nil {
		k.left--
	}
	return o
}

// surplus reports whether the destination may not have this session any more, which then
// ends. The caller holds the pool's mutex.
func (k *kept) surplus() bool {
	if k.done || k.dest.sessions-k.dest.calling-k.dest.leaving <= max(k.dest.most(k.pool.limits()), 1) {
		return false
	}
	k.dest.leaving++
	k.leaving = true
	return true
}

// message returns an order as the host gets it; nil if the host cannot have it, and
// then the order has its result.
func (k *kept) message(o *order) (m *smtpc.Message) {
	err := status.Guard(func() error {
		if o.ctx.Err() != nil {
			o.stopped = true
			return nil
		}
		o.t = &transaction{session: k.session, m: o.m, failed: map[int]*failure{}}
		m = o.t.begin(o.batch)
		return nil
	})
	if err != nil {
		o.unopened = &failure{host: k.host, ours: true, err: classified(err)}
		m = nil
	}
	if m == nil {
		k.left++
		o.end()
		return nil
	}
	k.under = append(k.under, o)
	m.Done = func(res *smtpc.Result) { k.ended(o, res) }
	if k.count == 0 && len(k.under) == 1 {
		m.Begun = func(res *smtpc.Result) { k.begins(o, res) }
	}
	return m
}

// begins notes the answers to the first envelope of a session.
func (k *kept) begins(o *order, res *smtpc.Result) {
	p := k.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if complaint(res) == 0 {
		o.dest.welcomed(p.limits())
		p.serve(k.line)
	}
}

// ended takes the result of a transaction.
func (k *kept) ended(o *order, res *smtpc.Result) {
	o.res = res
	again := k.judge(o, res)
	k.under = slices.DeleteFunc(k.under, func(other *order) bool { return other == o })
	if !again {
		o.end()
	}
}

// judge notes what a result says of host and destination. One that a session which was
// used before never answered is no attempt: the host has closed the session in the
// meantime, so the order waits again, and judge returns true.
func (k *kept) judge(o *order, res *smtpc.Result) (again bool) {
	p := k.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	worn := k.worn(res)
	unheard := worn || k.count > 0 && unheard(res)
	k.learn(res, unheard && (!worn || tooMany(res.Mail)))
	if !unheard {
		o.dest.heard(res, p.limits())
		k.count++
	}
	p.pace(k, res.Took)
	k.fresh = false
	if again = unheard && o.ctx.Err() == nil; again {
		o.t, o.res = nil, nil
		k.line.queue = slices.Insert(k.line.queue, 0, o)
	}
	p.serve(k.line) // this session counts until it has left; there may be one more now
	return again
}

// crashed ends a session in which there was a panic: what has no result yet is deferred.
func (k *kept) crashed(err error) {
	k.pool.trouble(k.host.name, err)
	k.smtp.Close()
	for _, o := range k.under {
		if o.res == nil {
			o.t, o.unopened = nil, &failure{host: k.host, ours: true, err: classified(err)}
		}
		o.end()
	}
	k.under = nil
}

// unheard reports whether a session ended before a transaction was answered.
func unheard(res *smtpc.Result) bool {
	return res.Unheard || res.Words.Code == 421 && (res.Mail.Code == 0 || res.Mail.Code == 421) && !res.Begun && !res.Sent
}

// learn remembers of a host that it closes after its 250 although an envelope is behind
// it, which may destroy the 250 (RST), or after a number of messages.
func (k *kept) learn(res *smtpc.Result, unheard bool) {
	var s style
	switch {
	case k.broken:
		return // and what was behind the end of the text is unheard of course
	case res.Sent && res.Ahead && res.Final.Code == 0 && cut(res.Err):
		s.alone, s.most, k.broken = true, k.count, true
	case unheard && !k.fresh:
		s.most = k.count
	default:
		return
	}
	k.pool.hosts.learn(k.host.addr.String(), s, k.pool.now())
}

// cut reports whether an error means that the host has closed the connection.
func cut(err error) bool {
	return errors.Is(err, smtpc.ErrCut) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// rest waits for the next order; nil means that the session is to end.
func (k *kept) rest() *order {
	if k.smtp.Over() || k.done {
		return nil
	}
	p := k.pool
	if o, idle := k.settle(); !idle {
		return o
	}
	t := time.NewTimer(idleTime)
	defer t.Stop()
	select {
	case o := <-k.give:
		return o
	case <-t.C:
	}
	p.mu.Lock()
	i := slices.Index(p.idle, k)
	if i >= 0 {
		p.idle = slices.Delete(p.idle, i, i+1)
	}
	p.mu.Unlock()
	if i >= 0 {
		return nil
	}
	return <-k.give
}

// settle takes the next order, or counts the session as idle. Neither means that it is to
// end.
func (k *kept) settle() (o *order, idle bool) {
	p := k.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended || k.stale || len(p.asking) > 0 && len(k.line.queue) == 0 {
		return nil, false
	}
	if o := p.pop(k); o != nil {
		return o, false
	}
	p.idle = append(p.idle, k)
	return nil, true
}

// stopped is the failure of what was not begun when the program was told to stop.
func stopped(h host) *failure {
	return &failure{host: h, ours: true,
		err: status.Temp("4.3.2", fmt.Sprintf("%s: stopped between two transactions", h), nil)}
}
