package spool

import "time"

// Depth is how many files an inbox has, told from their names alone.
type Depth struct {
	New, Deferred int
	Oldest        time.Time // when the oldest was accepted; zero: there is none
	OldestNew     time.Time // the oldest of those never tried
}

// Depth counts what is in an inbox.
func (s *Spool) Depth(in Inbox) (d Depth, err error) {
	b, err := s.inbox(in)
	if err != nil {
		return d, err
	}
	for at, err := range b.spots(stateNew, stateDeferred) {
		if err != nil {
			return d, err
		}
		if at.state == stateNew {
			d.New++
		} else {
			d.Deferred++
		}
		k := at.key()
		if k == "" {
			continue
		}
		born := k.Made()
		if d.Oldest.IsZero() || born.Before(d.Oldest) {
			d.Oldest = born
		}
		if at.state == stateNew && (d.OldestNew.IsZero() || born.Before(d.OldestNew)) {
			d.OldestNew = born
		}
	}
	return d, nil
}
