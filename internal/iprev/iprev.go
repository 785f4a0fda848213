// Package iprev finds the name of a host: one that the reverse DNS gives its address and
// that leads back to the address (RFC 8601 3). What the reverse DNS says alone proves
// nothing: its owner may claim any name there.
package iprev

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"

	"paperpath/internal/dns"
	"paperpath/internal/status"
)

// maxNames bounds the names of an address that are looked at.
const maxNames = 3

// Resolver is what is asked of the DNS. Its errors are those of package dns.
type Resolver interface {
	PTR(ctx context.Context, ip netip.Addr) ([]string, error)
	Addrs(ctx context.Context, host string) ([]netip.Addr, error)
}

// Status is the result, in the words of RFC 8601 2.7.3.
type Status string

// The results.
const (
	Pass      Status = "pass"      // a name leads back to the address
	Fail      Status = "fail"      // none of the names does
	TempError Status = "temperror" // the DNS did not answer
	PermError Status = "permerror" // the address has no name
)

// Result is what came out.
type Result struct {
	Status Status
	Name   string // that leads back
	Claims []string
	Reason string // for people; "" for a pass
}

// Look looks for the name of an address. Claimed is a name that a program in front of us
// found in the reverse DNS, or "": it is not looked up there again.
func Look(ctx context.Context, r Resolver, ip netip.Addr, claimed string) Result {
	ip = ip.Unmap().WithZone("")
	names := []string{claimed}
	if claimed == "" {
		var err error
		names, err = r.PTR(ctx, ip)
		switch {
		case isAnswer(err):
			return Result{Status: PermError, Reason: "the reverse DNS has no name for " + ip.String()}
		case err != nil:
			return Result{Status: TempError, Reason: status.Public(err)}
		}
	}
	return lookBack(ctx, r, ip, names[:min(len(names), maxNames)])
}

// lookBack returns the first name that leads back to the address.
func lookBack(ctx context.Context, r Resolver, ip netip.Addr, names []string) Result {
	result := Result{Status: Fail, Claims: names}
	for _, name := range names {
		back, err := r.Addrs(ctx, name)
		switch {
		case err == nil && slices.Contains(back, ip):
			return Result{Status: Pass, Name: strings.TrimSuffix(name, "."), Claims: names}
		case err != nil && !isAnswer(err):
			result.Status, result.Reason = TempError, status.Public(err)
		}
	}
	if result.Status == Fail {
		result.Reason = "the reverse DNS says " + strings.Join(names, ", ") +
			", which does not lead back to " + ip.String()
	}
	return result
}

// isAnswer reports whether the DNS answered that there is nothing.
func isAnswer(err error) bool {
	return errors.Is(err, dns.ErrNoDomain) || errors.Is(err, dns.ErrNoData) || errors.Is(err, dns.ErrBadName)
}
