package relay

import (
	"context"
	"maps"
	"sync"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/settle"
	"paperpath/internal/status"
)

const (
	maxHosts    = 8  // addresses of one target tried in one attempt
	maxSessions = 3  // of these that may answer without accepting everything
	maxGroups   = 10 // destinations of one message at a time
)

// Send sends m to the recipients todo, to each destination separately, and returns the
// result of each recipient.
func (r *Relay) Send(ctx context.Context, m *Message, todo []int) []settle.Result {
	failed := map[int]*failure{}
	if err := r.masquerade(m); err != nil {
		fail(failed, todo, &failure{err: classified(err)})
		return results(m, todo, failed)
	}
	if err := m.measure(); err != nil {
		fail(failed, todo, &failure{err: status.Temp("4.3.0", "cannot read the message", err)})
		return results(m, todo, failed)
	}
	if _, err := addr.Parse(m.From.Addr); err != nil && m.From.Addr != "" {
		fail(failed, todo, &failure{err: permanent(553, "5.1.7", "the reverse path %+q is not a valid address", m.From.Addr)})
		return results(m, todo, failed)
	}
	if err := r.prepareSigning(m); err != nil {
		fail(failed, todo, &failure{err: classified(err)})
		return results(m, todo, failed)
	}
	groups := r.groups(m, todo, failed)
	if len(groups) == 1 { // as most have
		maps.Copy(failed, r.guarded(ctx, groups[0], m))
		return results(m, todo, failed)
	}
	var mu sync.Mutex
	var wait sync.WaitGroup
	free := make(chan struct{}, maxGroups)
	for _, g := range groups {
		wait.Add(1)
		free <- struct{}{}
		go func() {
			defer wait.Done()
			out := r.guarded(ctx, g, m)
			<-free
			mu.Lock()
			defer mu.Unlock()
			maps.Copy(failed, out)
		}()
	}
	wait.Wait()
	return results(m, todo, failed)
}

// results returns how the attempt ended for each of todo.
func results(m *Message, todo []int, failed map[int]*failure) []settle.Result {
	var list []settle.Result
	for _, i := range todo {
		res := settle.Result{Index: i}
		if f := failed[i]; f != nil && f.err != nil {
			res.Err, res.Diagnostic = f.told(), f.reply
			res.Rule, res.Hold, res.Again = f.rule, f.hold, f.again
			if f.reply != "" && f.host.addr.IsValid() { // a socket has no name for others
				res.RemoteMTA = f.host.name
			}
		} else if !m.taken[i] { // whatever went wrong: only a host's reply makes it done
			res.Err = status.Temp("4.3.0", "the attempt has no result", nil)
		} else if a, ok := m.noDSN[i]; ok {
			res.Relayed, res.RemoteMTA, res.Diagnostic = true, a.host, a.reply
		}
		list = append(list, res)
	}
	return list
}

// group is the recipients of one destination.
type group struct {
	destination
	todo []int
}

// groups groups the recipients by destination.
func (r *Relay) groups(m *Message, todo []int, failed map[int]*failure) []*group {
	var list []*group
	of := map[string]*group{}
	known := map[string]destination{} // by domain: a thousand recipients may have one
	for _, i := range todo {
		_, domain := addr.Split(m.To[i].Addr)
		d, ok := known[domain]
		_, err := addr.Parse(m.To[i].Addr)
		if !ok || err != nil {
			d, err = r.destination(m.From.Addr, m.To[i].Addr, nil)
		}
		if err != nil {
			failed[i] = &failure{err: classified(err)}
			continue
		}
		known[domain] = d
		together := d.together()
		if of[together] == nil {
			of[together] = &group{destination: d}
			list = append(list, of[together])
		}
		of[together].todo = append(of[together].todo, i)
	}
	return list
}

// classified gives any error a class: temporary, unless it has one.
func classified(err error) *status.Error {
	if e, ok := err.(*status.Error); ok {
		return e
	}
	return status.Temp("4.3.0", "", err)
}

// guarded turns a panic into a temporary failure of the group.
func (r *Relay) guarded(ctx context.Context, g *group, m *Message) (failed map[int]*failure) {
	err := status.Guard(func() error {
		failed = r.deliver(ctx, g, m)
		return nil
	})
	if err != nil {
		r.Log.Trouble(m.Key, "relay to "+g.name, err)
		failed = map[int]*failure{}
		fail(failed, g.todo, &failure{err: classified(err)})
	}
	return failed
}

// deliver tries the hosts of a group's destination, one after the other, until every
// recipient is done or has failed permanently.
func (r *Relay) deliver(ctx context.Context, g *group, m *Message) map[int]*failure {
	a := &attempt{Relay: r, group: g, m: m, failed: map[int]*failure{}, left: g.todo, began: r.Now(), silent: true}
	if last, paused := r.paused(g.name, a.began, m.Asked); paused {
		a.failAll(last.failure(g.name))
		return a.failed
	}
	row, err := r.Control.Destination(g.domain)
	if err != nil {
		a.failAll(&failure{settings: true, err: classified(err)})
		return a.failed
	}
	if f, again := r.quota(g.domain, row); f != nil {
		f.again = again
		a.failAll(f)
		return a.failed
	}
	a.row = row
	a.through(ctx, r.lookups())
	switch {
	case ctx.Err() != nil:
	case a.tried > 0 && a.silent:
		r.reach.failed(g.name, a.why, a.began, r.Now())
	case a.tried == 0 && a.why != "":
		r.reach.unknown(g.name, a.why, r.Now())
	}
	return a.failed
}

func clockTime(t time.Time) string { return t.UTC().Format("15:04:05Z") }

// attempt is the state of deliver.
type attempt struct {
	*Relay
	*group
	m        *Message
	failed   map[int]*failure
	left     []int // neither done nor failed at all hosts
	tried    int   // addresses
	before   int   // of these, those of former targets
	sessions int   // with hosts of this target
	silent   bool  // no host has answered yet
	row      *control.Destination
	why      string
	began    time.Time
	shunned  map[int]shunned // by recipient: what a rule said not to try any more
}

// lookupFailed notes that a look-up failed for all recipients that are left.
func (a *attempt) lookupFailed(f *failure) {
	a.failAll(f)
	if f.err.Enhanced == dnsTrouble {
		a.why = status.Public(f.err)
	}
}

// finished reports whether no further host will be tried.
func (a *attempt) finished(ctx context.Context) bool {
	stop := ctx.Err() != nil // once: it may come between two looks
	if stop && a.tried == 0 {
		a.failAll(&failure{err: status.Temp("4.3.2", "stopped before the first connection", nil)})
	}
	return stop || len(a.left) == 0 || a.tried-a.before >= maxHosts || a.sessions >= maxSessions
}

// try sends to the recipients that are left through one host.
func (a *attempt) try(ctx context.Context, h host) {
	if a.finished(ctx) {
		return
	}
	todo, not := a.from(h)
	if len(todo) == 0 {
		return
	}
	a.left = todo
	defer func() { a.left = append(a.left, not...) }()
	t, err := a.terms(a.m, a.group.destination, h)
	if err != nil {
		f := &failure{host: h, settings: true, err: classified(err)}
		a.failAll(f)
		a.logSettings(f)
		return
	}
	a.logins.ask(t, a.m.asked(a.Now()))
	if err := a.logins.rest(t, a.Now()); err != nil {
		a.failAll(&failure{host: h, elsewhere: true, err: classified(err)})
		return
	}
	a.outgrow(t)
	if a.rests(h, t) {
		return
	}
	a.tried++
	d, done := a.pool.dest(a.name, t.depth())
	defer done()
	a.pool.limit(d, a.row)
	failed, f := a.pool.send(ctx, d, t, a.m, a.left)
	if f != nil {
		a.silent, a.why = a.silent && f.silent, status.Public(f.err)
		a.judge(f)
		a.failAll(f)
		a.logSettings(f)
		if f.loop || f.rests {
			a.left = nil
		}
		return
	}
	a.silent = false
	a.sessions++
	a.noteAll(failed)
}

// noteAll notes how a host treated the recipients that were left; those without a failure
// are done.
func (a *attempt) noteAll(failed map[int]*failure) {
	left := a.left
	a.left = nil
	complained := false
	for _, i := range left {
		f := failed[i]
		if f == nil {
			delete(a.failed, i)
			continue
		}
		complained = complained || a.logSettings(f)
		a.judge(f)
		a.note(i, f)
		if f.elsewhere {
			a.left = append(a.left, i)
		}
	}
}

// rests notes that a host is not tried now, if it is not.
func (a *attempt) rests(h host, t terms) bool {
	if a.pool.isOpen(t) {
		return false
	}
	o, rests := a.known.rest(h.addr.String(), a.began, a.m.Asked)
	if rests {
		a.why = o.text(h.String())
		a.failAll(&failure{host: h, elsewhere: true, err: status.Temp("4.4.1", a.why, nil)})
	}
	return rests
}

// logSettings logs a failure that only a change of the settings can fix, and reports
// whether it was one.
func (a *attempt) logSettings(f *failure) bool {
	if f.settings {
		a.Log.Trouble(a.m.Key, "settings for "+f.host.String()+", mail is deferred", f.err)
	}
	return f.settings
}

// failAll notes a failure of all recipients that are left.
func (a *attempt) failAll(f *failure) {
	for _, i := range a.left {
		a.note(i, f)
	}
}

// note keeps the failure that counts. A permanent failure at one host, where another
// host may accept the recipient, counts only if no host failed temporarily.
func (a *attempt) note(i int, f *failure) {
	old := a.failed[i]
	if old != nil && f.elsewhere && status.IsTemporary(old.err) && !status.IsTemporary(f.err) {
		return
	}
	a.failed[i] = f
	a.shunFor(i, f)
}
