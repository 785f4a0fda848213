package relay

import (
	"slices"
	"time"
)

// bounds are the limits of a pool.
type bounds struct {
	all         int           // sessions that are open
	opening     int           // sessions that are being opened, or that are slow
	host        int           // sessions with one address
	destination int           // sessions of one destination
	messages    int           // of one session
	time        time.Duration // of one session
}

// bounds reads the limits. A table that cannot be read is the trouble of whoever reads
// it first, which has logged it; what it would be without counts here.
func (r *Relay) bounds() bounds {
	count := func(name string) int { n, _ := r.Control.Concurrency(name); return n }
	messages, _ := r.Control.Limit("session-messages")
	seconds, _ := r.Control.Limit("session-time")
	return bounds{all: count("mailrelay"), opening: count("connecting"), host: count("host"),
		destination: count("destination"), messages: int(min(messages, 1<<20)),
		time: time.Duration(min(seconds, 1<<20)) * time.Second}
}

// unknown is how many of all sessions may be with hosts that have not answered within
// the hour.
func (b bounds) unknown() int { return b.all - b.all/5 }

// place is a session that waits until it may be among those that are brisk.
type place struct {
	known bool
	free  chan struct{}
}

// admit waits until a session that has just been opened may send.
func (p *pool) admit(k *kept, known bool) {
	p.mu.Lock()
	w := &place{known: known, free: make(chan struct{})}
	p.asking = append(p.asking, w)
	p.grant()
	if !closed(w.free) {
		p.dismiss(func(*kept) bool { return true })
	}
	p.mu.Unlock()
	<-w.free
}

// grant gives free places to those who wait. The caller holds mu.
func (p *pool) grant() {
	b, before := p.limits(), p.brisk
	p.asking = slices.DeleteFunc(p.asking, func(w *place) bool {
		if p.brisk >= b.all || !w.known && p.brisk >= max(b.unknown(), 1) {
			return false
		}
		p.brisk++
		close(w.free)
		return true
	})
	p.begun(p.brisk - before)
}

// begun takes n sessions from those that are being opened or slow. What waits because these
// were too many may begin. The caller holds mu.
func (p *pool) begun(n int) {
	full := p.opening >= p.limits().opening
	if p.opening -= n; full && n > 0 {
		p.serveAll()
	}
}

// release gives the place of a session back. The caller holds mu.
func (p *pool) release(k *kept) {
	if k.slow {
		p.opening--
		return
	}
	p.brisk--
	p.grant()
}

// pace notes whether a session is slow: it has no place among the others then. The
// caller holds mu.
func (p *pool) pace(k *kept, took time.Duration) {
	switch slow := took > p.slowReply; {
	case slow && !k.slow:
		k.slow = true
		p.opening++
		p.brisk--
		p.grant()
	case !slow && k.slow && p.brisk < p.limits().all:
		k.slow = false
		p.brisk++
		p.begun(1)
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
