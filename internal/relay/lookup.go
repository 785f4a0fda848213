package relay

import (
	"context"
	"net/netip"
	"time"

	"paperpath/internal/dns"
)

// lookups asks the DNS for one attempt, within one time limit for all look-ups. Each gets
// half of the time that is left, so that a name whose servers do not answer leaves time
// for the names after it.
type lookups struct {
	dns  Resolver
	left time.Duration
}

func (r *Relay) lookups() *lookups { return &lookups{dns: r.DNS, left: r.Times.Lookup} }

// MX implements Resolver.
func (l *lookups) MX(ctx context.Context, domain string) (list []dns.MX, err error) {
	l.within(ctx, func(ctx context.Context) { list, err = l.dns.MX(ctx, domain) })
	return list, err
}

// Addrs implements Resolver.
func (l *lookups) Addrs(ctx context.Context, name string) (list []netip.Addr, err error) {
	l.within(ctx, func(ctx context.Context) { list, err = l.dns.Addrs(ctx, name) })
	return list, err
}

func (l *lookups) within(ctx context.Context, ask func(context.Context)) {
	asking, cancel := context.WithTimeout(ctx, l.left/2)
	defer cancel()
	began := time.Now()
	ask(asking)
	l.left = max(l.left-time.Since(began), 0)
}
