// Package dnsbl asks lists of addresses in the DNS (RFC 5782) about a client, and notices
// lists whose answers mean nothing.
package dnsbl

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"paperpath/internal/control"
	"paperpath/internal/dns"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// maxText bounds what a list may say about an address.
const maxText = 200

// Resolver asks the DNS.
type Resolver interface {
	A(ctx context.Context, name string) ([]netip.Addr, error)
	TXT(ctx context.Context, name string) ([]string, error)
}

// Answer is what one list says.
type Answer struct {
	Zone    string
	Rows    []control.DNSList // those that count
	Good    bool              // a list of good addresses
	Codes   []netip.Addr      // what it answered for the client, as far as it counts
	Text    string            // why, in its own words, printable; "" where it does not say
	Useless string            // why its answers mean nothing, or ""
	Err     error             // why there is no answer, or nil
}

// Weight is the sum of the rows that count.
func (a Answer) Weight() int {
	sum := 0
	for _, row := range a.Rows {
		sum += row.Weight
	}
	return sum
}

// Ask asks all lists about a client, side by side, each zone once. The answers are in the
// order of the rows.
func Ask(ctx context.Context, r Resolver, rows []control.DNSList, client netip.Addr) []Answer {
	var zones []string
	for _, row := range rows {
		if !slices.Contains(zones, row.Zone) {
			zones = append(zones, row.Zone)
		}
	}
	answers := make([]Answer, len(zones))
	var all sync.WaitGroup
	for i, zone := range zones {
		l := list{Resolver: r, zone: zone, client: client.Unmap().WithZone("")}
		for _, row := range rows {
			if row.Zone == zone {
				l.rows = append(l.rows, row)
			}
		}
		all.Go(func() {
			err := status.Guard(func() error { answers[i] = l.ask(ctx); return nil })
			if err != nil {
				answers[i] = Answer{Zone: zone, Err: err}
			}
		})
	}
	all.Wait()
	return answers
}

// list is a zone with its rows.
type list struct {
	Resolver
	zone   string
	rows   []control.DNSList
	client netip.Addr
}

// lookup is the answer for one address; err is nil if it is not on the list.
type lookup struct {
	codes []netip.Addr
	err   error
}

// look looks for an address.
func (l *list) look(ctx context.Context, ip netip.Addr) (a lookup) {
	a.codes, a.err = l.A(ctx, l.name(ip))
	if errors.Is(a.err, dns.ErrNoDomain) || errors.Is(a.err, dns.ErrNoData) {
		a.err = nil
	}
	return a
}

// name is that of an address in the zone: octets or nibbles backwards (RFC 5782 2.1, 2.4).
func (l *list) name(ip netip.Addr) string {
	var b strings.Builder
	for _, octet := range slices.Backward(ip.AsSlice()) {
		if ip.Is4() {
			fmt.Fprintf(&b, "%d.", octet)
		} else {
			fmt.Fprintf(&b, "%x.%x.", octet&15, octet>>4)
		}
	}
	return b.String() + l.zone
}

// ask asks for the client and for the addresses that show whether the list works, at a
// time; the cache knows the latter most of the time.
func (l *list) ask(ctx context.Context) Answer {
	ips := append([]netip.Addr{l.client}, tests(l.client)...)
	found := make([]lookup, len(ips))
	var all sync.WaitGroup
	for i, ip := range ips {
		all.Go(func() {
			if err := status.Guard(func() error { found[i] = l.look(ctx, ip); return nil }); err != nil {
				found[i].err = err
			}
		})
	}
	all.Wait()
	a := Answer{Zone: l.zone, Err: found[0].err, Good: l.rows[0].Weight < 0}
	if a.Useless = l.useless(found[0].codes, found[1:]); a.Useless != "" || a.Err != nil {
		return a
	}
	for _, code := range found[0].codes {
		if inLoopback(code) {
			a.Codes = append(a.Codes, code)
		}
	}
	a.Rows = l.count(a.Codes)
	if len(a.Rows) > 0 {
		a.Text = l.text(ctx)
	}
	return a
}

// tests are the addresses that no list has, and one of which every list has (RFC 5782 5).
// A list of both families has those of IPv4 too.
func tests(client netip.Addr) []netip.Addr {
	all := []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")}
	if client.Is6() {
		all = append(all, sixOf(all[0]), sixOf(all[1]))
	}
	return all
}

// count returns the rows that one of the codes satisfies, each once.
func (l *list) count(codes []netip.Addr) (rows []control.DNSList) {
	for _, row := range l.rows {
		if slices.ContainsFunc(codes, func(c netip.Addr) bool { return row.Codes == nil || row.Codes.Match(c) }) {
			rows = append(rows, row)
		}
	}
	return rows
}

// inLoopback reports whether an answer can come from a list: anything else comes from a
// zone that has been sold, or from a resolver that has an answer for every name.
func inLoopback(code netip.Addr) bool { return code.Is4() && code.IsLoopback() }

// text returns what the list says about the client, for people: nothing in it is trusted.
func (l *list) text(ctx context.Context) string {
	texts, err := l.TXT(ctx, l.name(l.client))
	if err != nil || len(texts) == 0 {
		return ""
	}
	return visible.Shorten(visible.ASCII(visible.Shorten(texts[0], maxText)), maxText)
}
