package home

import "paperpath/internal/dns"

// DNS returns the resolver of this process, with the answers that it remembers.
func (h *Home) DNS() *dns.Resolver {
	h.resolverOnce.Do(func() {
		h.resolver = dns.New(h.Control)
		h.resolver.Now = h.Clock.Now
	})
	return h.resolver
}
