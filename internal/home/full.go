package home

import "paperpath/internal/full"

// Full returns the list of mailboxes that are full.
func (h *Home) Full() *full.Marks {
	h.countersMu.Lock()
	defer h.countersMu.Unlock()
	if h.full == nil {
		h.full = full.Open(h.Dir)
	}
	return h.full
}
