package submit

import (
	"context"
	"net/netip"
	"sync/atomic"
	"time"

	"paperpath/internal/dns"
	"paperpath/internal/iprev"
	"paperpath/internal/maillog"
	"paperpath/internal/status"
)

// reverseTime bounds the search for a client's name. The session does not wait
// for it.
const reverseTime = 5 * time.Second

// reverse looks up a client's name in the reverse DNS while the session goes on.
// A name counts only if it resolves to the client's address.
type reverse struct{ found atomic.Pointer[string] }

// lookUp starts the search. hint is the name that a wrapper gave, or "": it is not
// looked up again, but must resolve to the address too.
func lookUp(ctx context.Context, log *maillog.Log, r *dns.Resolver, client, hint string) *reverse {
	rev := &reverse{}
	ip, err := netip.ParseAddr(client)
	if err != nil || ip.IsLoopback() {
		return rev
	}
	go func() {
		err := status.Guard(func() error { rev.search(ctx, r, ip, hint); return nil })
		if err != nil {
			log.Trouble("", "reverse DNS", err)
		}
	}()
	return rev
}

func (rev *reverse) search(ctx context.Context, r *dns.Resolver, ip netip.Addr, hint string) {
	ctx, cancel := context.WithTimeout(ctx, reverseTime)
	defer cancel()
	if found := iprev.Look(ctx, r, ip, hint); found.Status == iprev.Pass {
		rev.found.Store(&found.Name)
	}
}

// name is the name if it has been found by now, or "".
func (rev *reverse) name() string {
	if name := rev.found.Load(); name != nil {
		return *name
	}
	return ""
}
