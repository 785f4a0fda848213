package maildir

import (
	"sync"
	"time"

	"paperpath/internal/dir"
)

// Bases remembers for a second which bases nobody but root can exchange: who delivers to many
// mailboxes below one base walks the path to it once. The zero value is ready.
type Bases struct {
	mu      sync.Mutex
	trusted map[string]time.Time
}

const (
	basesKept  = time.Second
	basesKnown = 64
)

// trust is dir.Trusted for root's path. b may be nil.
func (b *Bases) trust(path string) error {
	if b == nil {
		return dir.Trusted(path, 0)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if at, ok := b.trusted[path]; ok && now.Sub(at) < basesKept {
		return nil
	}
	if err := dir.Trusted(path, 0); err != nil {
		delete(b.trusted, path)
		return err
	}
	if len(b.trusted) >= basesKnown || b.trusted == nil {
		b.trusted = map[string]time.Time{}
	}
	b.trusted[path] = now
	return nil
}
