package relay

import (
	"context"
	"fmt"

	"paperpath/internal/control"
	"paperpath/internal/status"
)

// through tries the targets of the destination, one after the other, until every
// recipient is done or has failed for good. A target that cannot be reached, or that
// refuses for now, leaves its recipients to the next one; so does an MX lookup without a
// host. A permanent refusal is final, whatever follows: the host has judged the mail.
func (a *attempt) through(ctx context.Context, look *lookups) {
	for _, to := range a.targets() {
		a.before, a.sessions = a.tried, 0
		if a.finished(ctx) {
			return
		}
		switch to.Kind {
		case control.ToMX, control.ToHost, control.ToTLS:
			a.hostsOf(ctx, look, to, a.try)
		case control.ToLMTP, control.ToProgram:
			a.nearby(ctx, look, to)
		// The rest are rows that have changed since mailroute has read them.
		case control.ToError:
			a.failAll(&failure{ours: true, err: a.route.Refusal()})
		case control.ToHold:
			a.failAll(&failure{ours: true, hold: true, rule: a.route.Where, err: permanent(550, "5.7.0",
				"mail for %s is held now (change the row, then release it)", a.domain)})
		case control.ToLocal:
			a.failAll(&failure{ours: true, err: status.Ours("4.3.5", "", fmt.Sprintf(
				"%s says local now (mailctl queue reroute %s)", a.route.Where, a.m.Key), nil)})
		}
	}
}

// nearby tries a target that is not reached through the pool.
func (a *attempt) nearby(ctx context.Context, look *lookups, to control.RouteTarget) {
	leave, ok := a.near.enter(ctx, to.String(), a.bounds().destination)
	if !ok {
		a.finished(ctx)
		return
	}
	defer leave()
	switch {
	case to.Kind == control.ToProgram:
		a.tryProgram(ctx, to)
	case to.Path != "":
		a.tryLMTP(ctx, host{name: to.String(), routed: true}, "unix", to.Path)
	default:
		a.hostsOf(ctx, look, to, func(ctx context.Context, h host) { a.tryLMTP(ctx, h, "tcp", h.addr.String()) })
	}
}

// hostsOf tries the hosts of one target.
func (a *attempt) hostsOf(ctx context.Context, look *lookups, to control.RouteTarget,
	try func(context.Context, host)) {
	list, err := a.exchangers(ctx, look, a.group.destination, to, nil)
	if err != nil {
		f := &failure{err: classified(err), elsewhere: true}
		a.lookupFailed(f)
		if f.err.Enhanced == nullMX {
			a.left = nil
		}
	}
	for len(list) > 0 && !a.finished(ctx) { // no look-up without a use for it
		var batch []found
		batch, list = a.equals(ctx, look, a.group.destination, list, nil)
		for _, x := range batch {
			if a.finished(ctx) {
				return
			}
			if x.failure != nil {
				a.lookupFailed(x.failure)
			}
			for _, h := range x.hosts {
				try(ctx, h)
			}
		}
	}
}
