package check

import (
	"context"
	"sync"
)

// slots bound the connections of a process to each filter. The zero value is ready.
type slots struct {
	mu   sync.Mutex
	full map[string]chan struct{}
}

// take waits for one of n slots of that name, and returns what gives it back.
func (s *slots) take(ctx context.Context, name string, n int) (release func(), err error) {
	free := s.of(name, n)
	select {
	case free <- struct{}{}:
		return func() { <-free }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *slots) of(name string, n int) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.full[name]; c != nil && cap(c) == n {
		return c
	}
	// The limit has changed: connections that were made under the old one end by themselves.
	if s.full == nil || len(s.full) > 100 {
		s.full = map[string]chan struct{}{}
	}
	c := make(chan struct{}, n)
	s.full[name] = c
	return c
}
