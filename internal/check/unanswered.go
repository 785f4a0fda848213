package check

import (
	"context"
	"errors"
	"net/netip"
	"sync"

	"paperpath/internal/dns"
)

// unanswered is the resolver of one check. It keeps the first question that got no answer,
// for the event.
type unanswered struct {
	Resolver
	mu  sync.Mutex
	err error
}

func (u *unanswered) note(err error) error {
	if errors.Is(err, dns.ErrTemporary) {
		u.mu.Lock()
		defer u.mu.Unlock()
		if u.err == nil {
			u.err = err
		}
	}
	return err
}

func (u *unanswered) first() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.err
}

// TXT implements Resolver.
func (u *unanswered) TXT(ctx context.Context, name string) ([]string, error) {
	list, err := u.Resolver.TXT(ctx, name)
	return list, u.note(err)
}

// A implements Resolver.
func (u *unanswered) A(ctx context.Context, name string) ([]netip.Addr, error) {
	list, err := u.Resolver.A(ctx, name)
	return list, u.note(err)
}

// Addrs implements Resolver.
func (u *unanswered) Addrs(ctx context.Context, host string) ([]netip.Addr, error) {
	list, err := u.Resolver.Addrs(ctx, host)
	return list, u.note(err)
}

// PTR implements Resolver.
func (u *unanswered) PTR(ctx context.Context, ip netip.Addr) ([]string, error) {
	list, err := u.Resolver.PTR(ctx, ip)
	return list, u.note(err)
}

// MX implements Resolver.
func (u *unanswered) MX(ctx context.Context, domain string) ([]dns.MX, error) {
	list, err := u.Resolver.MX(ctx, domain)
	return list, u.note(err)
}
