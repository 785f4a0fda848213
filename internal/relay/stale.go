package relay

import (
	"slices"
	"time"
)

// A session that was opened with less TLS than its host is held to by now takes no more
// messages: another process, or a session on other terms, has seen TLS there since.

// outgrow ends the sessions on these terms whose TLS would not do for a new one.
func (r *Relay) outgrow(t terms) {
	if t.rule.Ratcheted() && r.pool.lacks(t) {
		r.retire(t.host)
	}
}

// retire ends the sessions with a host, on whatever terms, whose TLS would not do for a
// new one.
func (r *Relay) retire(h host) {
	secure, verified := r.Ratchet.Demands(h.ratchet(), r.Now())
	if secure || verified {
		r.pool.retire(h, func(k *kept) bool {
			return secure && k.cipher == "" || verified && k.distrust != nil
		})
	}
}

// lookEvery is how often the memory is asked about the sessions of a line: the answer is
// in a file, which would cost each message some hundredths of its time.
const lookEvery = 100 * time.Millisecond

// lacks reports whether a session on these terms could have better TLS, and it is time to
// ask for that.
func (p *pool) lacks(t terms) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.lines[t]
	if l == nil || !slices.ContainsFunc(l.open, (*kept).lacks) {
		return false
	}
	now := time.Now()
	if now.Sub(l.looked) < lookEvery {
		return false
	}
	l.looked = now
	return true
}

// lacks reports whether the session could have better TLS.
func (k *kept) lacks() bool { return !k.stale && (k.cipher == "" || k.distrust != nil) }

// retire ends the sessions with a host that are worse than it is held to, once they have
// done what they are doing.
func (p *pool) retire(h host, worse func(*kept) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lines {
		if l.host.name != h.name || l.host.addr.Port() != h.addr.Port() || !l.rule.Ratcheted() {
			continue
		}
		for _, k := range l.open {
			if !k.stale && worse(k) {
				k.unready()
				k.stale = true
			}
		}
	}
	p.idle = slices.DeleteFunc(p.idle, func(k *kept) bool {
		if k.stale {
			k.give <- nil
		}
		return k.stale
	})
}

// unready notes that the session does not count as one to wait for. The caller holds the
// pool's mutex.
func (k *kept) unready() {
	if k.stale {
		return
	}
	if k.line.ready--; k.line.ready == 0 {
		k.line.up = make(chan struct{})
	}
}
