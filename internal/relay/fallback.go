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
		if a.finished(ctx) {
			return
		}
		a.before, a.sessions = a.tried, 0
		switch to.Kind {
		case control.ToMX, control.ToHost, control.ToTLS:
			a.hostsOf(ctx, look, to)
		case control.ToError:
			a.failAll(&failure{ours: true, err: a.route.Refusal()})
		case control.ToLocal, control.ToHold: // the row has changed since mailroute has read it
			a.failAll(&failure{ours: true, err: status.Temp("4.3.5", fmt.Sprintf(
				"%s says %s now (mailctl queue reroute %s)", a.route.Where, to.Kind, a.m.Key), nil)})
		default:
			a.failAll(&failure{elsewhere: true, err: status.Temp("4.3.5",
				fmt.Sprintf("%s: mailrelay does not carry mail to %s", a.route.Where, to.Kind), nil)})
		}
	}
}

// hostsOf tries the hosts of one target.
func (a *attempt) hostsOf(ctx context.Context, look *lookups, to control.RouteTarget) {
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
				a.try(ctx, h)
			}
		}
	}
}
