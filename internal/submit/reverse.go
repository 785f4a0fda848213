package submit

import (
	"context"
	"net/netip"
	"strings"
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
type reverse struct {
	found   atomic.Pointer[string]
	claimed atomic.Pointer[string] // what the PTR record says, whether or not that is true
	ended   chan struct{}          // closed at the end of the search
}

// known is the result of a search that another host has made.
func known(name string) *reverse {
	rev := &reverse{ended: make(chan struct{})}
	if name != "" {
		rev.found.Store(&name)
		rev.claimed.Store(&name)
	}
	close(rev.ended)
	return rev
}

// lookUp starts the search. hint is the name that a wrapper gave, or "": it is not
// looked up again, but must resolve to the address too.
func lookUp(ctx context.Context, log *maillog.Log, r *dns.Resolver, client, hint string) *reverse {
	ip, err := netip.ParseAddr(client)
	if err != nil || ip.IsLoopback() {
		return known("")
	}
	rev := &reverse{ended: make(chan struct{})}
	go func() {
		defer close(rev.ended)
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
	found := iprev.Look(ctx, r, ip, hint)
	if len(found.Claims) > 0 {
		claimed := strings.TrimSuffix(found.Claims[0], ".")
		rev.claimed.Store(&claimed)
	}
	if found.Status == iprev.Pass {
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

// names waits for the end of the search, and returns the name that was found, and what the
// PTR record says.
func (rev *reverse) names(ctx context.Context) (name, ptr string) {
	select {
	case <-rev.ended:
	case <-ctx.Done():
	}
	if p := rev.claimed.Load(); p != nil {
		ptr = *p
	}
	return rev.name(), ptr
}
