package check

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"paperpath/internal/dmarc"
	"paperpath/internal/dns"
	"paperpath/internal/explain"
)

// noted notes what one check asked the DNS, and what the answer was, for explain.
type noted struct {
	Resolver
	together bool // the check asks several questions at a time: their order says nothing

	mu    sync.Mutex
	steps []explain.Step
}

// asksTogether reports whether a check asks several questions about m at a time. A replay has
// to explain them in the same order, whichever answer comes first.
func asksTogether(check string, m *Case) bool {
	if check != "dmarc" || m.Header == nil {
		return check == "dkim"
	}
	authors, _ := dmarc.Authors(m.fromOf())
	return len(authors) > 1
}

func (n *noted) note(question, answer string, err error) {
	if err != nil {
		answer = err.Error()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.steps = append(n.steps, explain.Step{Decision: "dns", Value: answer, Source: question})
}

// addTo adds the notes to t.
func (n *noted) addTo(t *explain.Trail) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.together {
		slices.SortStableFunc(n.steps, func(a, b explain.Step) int { return strings.Compare(a.Source, b.Source) })
	}
	t.Steps = append(t.Steps, n.steps...)
}

// TXT implements Resolver.
func (n *noted) TXT(ctx context.Context, name string) ([]string, error) {
	list, err := n.Resolver.TXT(ctx, name)
	n.note("TXT "+name, strings.Join(list, " | "), err)
	return list, err
}

// A implements Resolver.
func (n *noted) A(ctx context.Context, name string) ([]netip.Addr, error) {
	list, err := n.Resolver.A(ctx, name)
	n.note("A "+name, strings.Trim(fmt.Sprint(list), "[]"), err)
	return list, err
}

// Addrs implements Resolver.
func (n *noted) Addrs(ctx context.Context, host string) ([]netip.Addr, error) {
	list, err := n.Resolver.Addrs(ctx, host)
	n.note("A AAAA "+host, strings.Trim(fmt.Sprint(list), "[]"), err)
	return list, err
}

// PTR implements Resolver.
func (n *noted) PTR(ctx context.Context, ip netip.Addr) ([]string, error) {
	list, err := n.Resolver.PTR(ctx, ip)
	n.note("PTR "+ip.String(), strings.Join(list, " "), err)
	return list, err
}

// MX implements Resolver.
func (n *noted) MX(ctx context.Context, domain string) ([]dns.MX, error) {
	list, err := n.Resolver.MX(ctx, domain)
	var hosts []string
	for _, mx := range list {
		hosts = append(hosts, fmt.Sprintf("%d %s", mx.Pref, mx.Host))
	}
	n.note("MX "+domain, strings.Join(hosts, ", "), err)
	return list, err
}
