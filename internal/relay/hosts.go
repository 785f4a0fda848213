package relay

import "sync"

// style is what a host bears of a session.
type style struct {
	alone bool // it closes although an envelope is behind the end of a text
	most  int  // messages after which it closes; 0: not known
}

// hosts is what is remembered of hosts, by address and port.
type hosts struct {
	mu     sync.Mutex
	styles map[string]style
}

func (h *hosts) isKnown(addr string) bool { return false }

func (h *hosts) style(addr string) style {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.styles[addr]
}

func (h *hosts) learn(addr string, s style) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.styles == nil || len(h.styles) >= maxRemembered {
		h.styles = map[string]style{}
	}
	h.styles[addr] = s
}
