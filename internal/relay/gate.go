package relay

import (
	"context"
	"sync"
)

// gate bounds how many attempts use one target that is not reached through the pool: an
// LMTP server, or a program.
type gate struct {
	mu   sync.Mutex
	in   map[string]int
	left chan struct{} // closed when somebody leaves
}

// enter waits until fewer than most attempts use a target. ok is false if ctx ends first.
func (g *gate) enter(ctx context.Context, target string, most int) (leave func(), ok bool) {
	for {
		g.mu.Lock()
		if g.in == nil {
			g.in, g.left = map[string]int{}, make(chan struct{})
		}
		if g.in[target] < max(most, 1) {
			g.in[target]++
			g.mu.Unlock()
			return func() { g.leave(target) }, true
		}
		left := g.left
		g.mu.Unlock()
		select {
		case <-left:
		case <-ctx.Done():
			return nil, false
		}
	}
}

func (g *gate) leave(target string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.in[target]--; g.in[target] == 0 {
		delete(g.in, target)
	}
	close(g.left)
	g.left = make(chan struct{})
}
