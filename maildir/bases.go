package maildir

import (
	"path/filepath"
	"sync"
	"time"

	"paperpath/internal/dir"
)

// Bases remembers the way to mailboxes for a moment: who delivers to many below one base walks it
// once. It knows for a second which bases nobody but root can exchange, and holds the directory
// that the homes of the users are in for a tenth of one: so long mail may come into a directory
// that has just been moved. The zero value is ready.
type Bases struct {
	mu      sync.Mutex
	trusted map[string]time.Time
	held    map[above]*holding
}

const (
	basesKept  = time.Second
	basesKnown = 64
	heldFor    = 100 * time.Millisecond
)

// above is a directory on the way to the mailboxes of an owner, by its path from the base.
type above struct {
	base, rel string
	uid, gid  int
}

// holding is such a directory, open.
type holding struct {
	d     *dir.Dir
	users int
	over  bool // the last user closes it
}

// hold opens the directory that the names lead to from p's base, unless it is held. Its user calls
// release.
func (b *Bases) hold(p Place, names []string) (*holding, error) {
	at := above{p.Base, filepath.Join(names...), p.UID, p.GID}
	if h := b.take(at, nil); h != nil {
		return h, nil
	}
	d, err := p.base()
	if err != nil {
		return nil, err
	}
	if d, err = p.below(d, names, true, (*dir.Dir).OpenSub); err != nil {
		return nil, err
	}
	return b.take(at, d), nil
}

// take takes what is held, else d; nil where that is nil, too. One that is not needed is closed.
func (b *Bases) take(at above, d *dir.Dir) *holding {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.held[at]
	switch {
	case h == nil && d == nil:
		return nil
	case h == nil:
		h = &holding{d: d}
		if b.held == nil {
			b.held = map[above]*holding{}
		}
		b.held[at] = h
		time.AfterFunc(heldFor, func() { b.end(at, h) })
	case d != nil: // another one was quicker
		d.Close()
	}
	h.users++
	return h
}

// end ends the holding of a directory.
func (b *Bases) end(at above, h *holding) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.held, at)
	if h.over = true; h.users == 0 {
		h.d.Close()
	}
}

func (b *Bases) release(h *holding) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if h.users--; h.users == 0 && h.over {
		h.d.Close()
	}
}

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
