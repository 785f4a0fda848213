package relay

import (
	"fmt"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/ratelimit"
	"paperpath/internal/status"
)

// quota counts a message of an attempt against the rate of its destination. It returns
// why the message has to wait, nil if it may go: then again says for how long.
func (r *Relay) quota(domain string, d *control.Destination) (f *failure, again time.Duration) {
	if d == nil || d.Rate.Most <= 0 {
		return nil, 0
	}
	rate := ratelimit.Rate{Most: d.Rate.Most, Per: d.Rate.Per}
	ok, err := r.known.table.Take("rate "+domain, 1, rate, r.Now())
	if ok || err != nil {
		return nil, 0
	}
	each := rate.Per / time.Duration(rate.Most)
	again = r.pool.book(domain, r.Now(), each)
	return &failure{err: status.Ours("4.3.2", "the destination gets no more messages now",
		fmt.Sprintf("%s allows %d messages in %v for %s, this one goes after %s",
			d.Where, rate.Most, rate.Per, domain, clockTime(r.Now().Add(again))), nil)}, again
}

// book returns how long a message beyond the rate of its destination waits: each gets a
// time of its own, so that they do not all come back for the same one.
func (p *pool) book(name string, now time.Time, each time.Duration) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.booked) >= maxDests {
		clear(p.booked)
	}
	at := p.booked[name]
	if at.Before(now) {
		at = now
	}
	at = at.Add(each)
	p.booked[name] = at
	return at.Sub(now)
}
