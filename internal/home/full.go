package home

import (
	"paperpath/internal/full"
	"paperpath/internal/ratelimit"
)

// Full returns the list of mailboxes that are full.
func (h *Home) Full() *full.Marks {
	h.countersMu.Lock()
	defer h.countersMu.Unlock()
	if h.full == nil {
		h.full = full.Open(h.Dir)
	}
	return h.full
}

// Copied returns the table of the hidden copies that were made.
func (h *Home) Copied() *ratelimit.Table { return h.counters("copied", true) }
