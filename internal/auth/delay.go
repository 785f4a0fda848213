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

// The delay of the answer to a wrong login: firstDelay for the first one, twice as long
// for each further one, maxDelay at most. The count is halved every forgetAfter.
const (
	firstDelay  = 500 * time.Millisecond
	maxDelay    = 4 * time.Second
	forgetAfter = 10 * time.Minute
	maxFailures = 16 // of the count; more would only be remembered longer
)

// delays counts wrong logins by client and by account, and delays their answers. The
// table of counts is shared by all processes of the home.
type delays struct {
	table *ratelimit.Table
	now   func() time.Time
	wait  func(context.Context, time.Duration)
}

// newDelays returns delays with their counts in table.
func newDelays(table *ratelimit.Table, now func() time.Time) *delays {
	return &delays{table: table, now: now, wait: clock.Wait}
}

// Failed counts a wrong login of a client, whose address may be "", and waits until ctx
// ends, for maxDelay at most. A login that does not exist counts like one that does;
// "" is no account.
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

// delayOf returns the delay of the nth wrong login.
func delayOf(n uint64) time.Duration {
	if n == 0 {
		return firstDelay
	}
	return min(firstDelay<<min(n-1, maxFailures), maxDelay)
}

// count adds one to the count of key and returns it; 0 if there is no table, not even
// in memory.
func (d *delays) count(key string) (n uint64) {
	now := d.now()
	_ = d.table.Update(key, func(e ratelimit.Entry) ratelimit.Entry {
		e = oneMore(e, now)
		n = e.Count
		return e
	})
	return n
}

// oneMore adds one to what is left of the count at the time now. A count from the future
// (a clock was set) is treated as one of now.
func oneMore(e ratelimit.Entry, now time.Time) ratelimit.Entry {
	left := min(e.Count, maxFailures)
	if age := now.Sub(e.Time); age > 0 {
		left >>= min(uint64(age/forgetAfter), 63)
	}
	return ratelimit.Entry{Time: now, Count: left + 1}
}
