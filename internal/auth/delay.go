package auth

import (
	"context"
	"net/netip"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/clock"
	"paperpath/internal/listen"
	"paperpath/internal/ratelimit"
)

// The wait before a wrong login is answered: the first time firstDelay, twice
// as long with each further one, maxDelay at most. What was counted is halved
// every forgetAfter.
const (
	firstDelay  = 500 * time.Millisecond
	maxDelay    = 4 * time.Second
	forgetAfter = 10 * time.Minute
	maxFailures = 16 // counted; more would only be remembered for longer
)

// delays counts wrong logins by client and by account, and makes them wait. The
// counts stand in a table of the home, which the processes of all programs
// share.
type delays struct {
	table *ratelimit.Table
	now   func() time.Time
	wait  func(context.Context, time.Duration)
}

// newDelays returns the delays that are counted in table.
func newDelays(table *ratelimit.Table, now func() time.Time) *delays {
	return &delays{table: table, now: now, wait: clock.Wait}
}

// Failed counts a wrong login of a client, whose address may be "", and waits
// before it returns: in ctx, and never longer than maxDelay. A login that does
// not exist counts as one that does; account "" is none.
func (d *delays) Failed(ctx context.Context, client, account string) {
	var most uint64
	if account != "" {
		most = d.count("login-failed account " + addr.FoldAddress(account))
	}
	if ip, err := netip.ParseAddr(client); err == nil {
		most = max(most, d.count("login-failed client "+string(listen.OriginOf(ip))))
	}
	d.wait(ctx, delayOf(most))
}

// delayOf is the wait at the nth wrong login.
func delayOf(n uint64) time.Duration {
	if n == 0 {
		return firstDelay
	}
	return min(firstDelay<<min(n-1, maxFailures), maxDelay)
}

// count counts one more for key and returns how many it makes. A table that
// cannot even be had in memory counts none.
func (d *delays) count(key string) (n uint64) {
	now := d.now()
	_ = d.table.Update(key, func(e ratelimit.Entry) ratelimit.Entry {
		e = oneMore(e, now)
		n = e.Count
		return e
	})
	return n
}

// oneMore adds one to what is left at the time now. A count from the future
// says that a clock was set: it counts as one of now.
func oneMore(e ratelimit.Entry, now time.Time) ratelimit.Entry {
	left := min(e.Count, maxFailures)
	if age := now.Sub(e.Time); age > 0 {
		left >>= min(uint64(age/forgetAfter), 63)
	}
	return ratelimit.Entry{Time: now, Count: left + 1}
}
