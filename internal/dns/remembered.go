package dns

import (
	"context"
	"errors"
	"sync/atomic"
)

// memoryKey is the key of a *Missed in a context.
type memoryKey struct{}

// Missed is a context under which resolvers ask nobody. It says whether something was asked
// that is not remembered.
type Missed struct {
	context.Context
	atomic.Bool
}

// Value implements context.Context.
func (m *Missed) Value(key any) any {
	if key == (memoryKey{}) {
		return m
	}
	return m.Context.Value(key)
}

// errNotRemembered is what a resolver says that may not ask.
var errNotRemembered = errors.New("the answer is not remembered")

// FromMemory returns a context under which resolvers answer what they remember and ask
// nobody, so that nothing waits. Whatever follows from their answers counts only if none was
// missed.
func FromMemory(ctx context.Context) (context.Context, *Missed) {
	m := &Missed{}
	return InMemory(ctx, m), m
}

// InMemory is FromMemory with a Missed of the caller's.
func InMemory(ctx context.Context, m *Missed) context.Context {
	m.Context = ctx
	return m
}

// IsFromMemory reports whether ctx is one of FromMemory.
func IsFromMemory(ctx context.Context) bool { return missedBy(ctx) != nil }

// HasMissed reports whether an answer was missed under ctx.
func HasMissed(ctx context.Context) bool {
	m := missedBy(ctx)
	return m != nil && m.Load()
}

func missedBy(ctx context.Context) *Missed {
	m, _ := ctx.Value(memoryKey{}).(*Missed)
	return m
}

// recall answers a question without asking.
func (r *Resolver) recall(q question, m *Missed) *result {
	if res := r.remembered(q); res != nil {
		return res
	}
	m.Store(true)
	return temporary(errNotRemembered, q, 0)
}
