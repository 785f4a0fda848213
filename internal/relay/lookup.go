package relay

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"paperpath/internal/dns"
	"paperpath/internal/status"
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

// answered is what the DNS says of the addresses of a name.
type answered struct {
	ips []netip.Addr
	err error
}

// mostLookups is how many names are looked up at the same time.
const mostLookups = 10

// addrs asks for the addresses of several exchangers at the same time.
func (l *lookups) addrs(ctx context.Context, list []exchanger) []answered {
	out := make([]answered, len(list))
	if len(list) == 1 {
		out[0].ips, out[0].err = l.Addrs(ctx, list[0].name)
		return out
	}
	l.within(ctx, func(ctx context.Context) {
		var wait sync.WaitGroup
		free := make(chan struct{}, mostLookups)
		for i, x := range list {
			free <- struct{}{}
			wait.Go(func() {
				defer func() { <-free }()
				err := status.Guard(func() error {
					out[i].ips, out[i].err = l.dns.Addrs(ctx, x.name)
					return nil
				})
				if err != nil {
					out[i].err = err
				}
			})
		}
		wait.Wait()
	})
	return out
}

func (l *lookups) within(ctx context.Context, ask func(context.Context)) {
	asking, cancel := context.WithTimeout(ctx, l.left/2)
	defer cancel()
	began := time.Now()
	ask(asking)
	l.left = max(l.left-time.Since(began), 0)
}
