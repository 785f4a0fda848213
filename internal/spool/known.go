package spool

import (
	"hash/maphash"
	"sync"
	"time"
)

// rereadKeys is for how long one reading of the inboxes tells whether a report of
// ours is there already. Only the runner of an inbox makes reports about what is in
// it, and what it has published since, it knows; what an earlier runner left is
// there at the first reading.
const rereadKeys = 10 * time.Second

// knownKeys are the keys that were in the inboxes lately. To read the inboxes for
// each report would cost thousands of reports the square of their number.
type knownKeys struct {
	mu   sync.Mutex
	seed maphash.Seed
	keys map[uint64]struct{} // hashes of keys: it may be a large queue
	read time.Time
}

// has reports whether any inbox holds an entry with this key, as far as the last
// reading and what we published since can tell.
func (s *Spool) has(k Key) (bool, error) {
	n := &s.known
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.keys == nil || time.Since(n.read) > rereadKeys {
		if err := s.readKeys(); err != nil {
			return false, err
		}
	}
	_, there := n.keys[maphash.String(n.seed, string(k))]
	return there, nil
}

// readKeys reads the inboxes; known is locked.
func (s *Spool) readKeys() error {
	read, seed, keys := time.Now(), maphash.MakeSeed(), map[uint64]struct{}{}
	for at, err := range s.spots() {
		if err != nil {
			return err
		}
		if k := at.key(); k != "" {
			keys[maphash.String(seed, string(k))] = struct{}{}
		}
	}
	s.known.read, s.known.seed, s.known.keys = read, seed, keys
	return nil
}

// forget makes the next call of has read the inboxes.
func (n *knownKeys) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.keys = nil
}

// add notes a key that we published.
func (n *knownKeys) add(k Key) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.keys != nil {
		n.keys[maphash.String(n.seed, string(k))] = struct{}{}
	}
}
