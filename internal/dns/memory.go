package dns

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"paperpath/internal/status"
)

const (
	maxChain   = 16  // CNAMEs in a chain in one answer, and answers that continue one
	maxRecords = 100 // of one answer that are used
)

// memory is what some servers answered, and are asked now. With other servers a new one
// begins.
type memory struct {
	servers []string
	trusted bool // their AD bit is believed
	tryTime time.Duration
	now     func() time.Time
	cache   *cache

	mu      sync.Mutex
	flights map[question]*flight
}

// same reports whether these are its servers.
func (m *memory) same(servers []string, trusted bool) bool {
	return m.trusted == trusted && slices.Equal(m.servers, servers)
}

// flight is a question that is being asked, for all who want to know.
type flight struct {
	done    chan struct{}
	result  *result // once done is closed
	waiting int
	cancel  context.CancelFunc
}

// answer returns the result of a question from the cache, else from the servers. Those who
// ask the same at a time share one answer. It is given up once none of them waits.
func (m *memory) answer(ctx context.Context, q question) *result {
	if r := m.cache.get(q, m.now()); r != nil {
		return r
	}
	m.mu.Lock()
	f := m.flights[q]
	if f == nil {
		f = m.start(ctx, q)
	}
	f.waiting++
	m.mu.Unlock()
	select {
	case <-f.done:
		return f.result
	case <-ctx.Done():
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if f.waiting--; f.waiting == 0 {
		f.cancel()
		m.forget(q, f) // who asks now begins anew
	}
	return temporary(fmt.Errorf("%s: %w", strings.Join(m.servers, ", "), ended(ctx)), q, 0)
}

// start asks a question, apart from the one who asked first: others may have more time.
func (m *memory) start(ctx context.Context, q question) *flight {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f := &flight{done: make(chan struct{}), cancel: cancel}
	m.flights[q] = f
	go func() {
		defer cancel()
		err := status.Guard(func() error {
			f.result = m.look(ctx, q)
			return nil
		})
		if err != nil {
			f.result = temporary(err, q, 0)
		}
		if ctx.Err() == nil {
			m.cache.put(q, f.result, m.now())
		}
		m.mu.Lock()
		m.forget(q, f)
		m.mu.Unlock()
		close(f.done)
	}()
	return f
}

// forget ends the sharing of a flight. m is locked.
func (m *memory) forget(q question, f *flight) {
	if m.flights[q] == f {
		delete(m.flights, q)
	}
}

// look asks the servers. If they do not follow a chain of CNAMEs to its end, its next name
// is asked for.
func (m *memory) look(ctx context.Context, q question) *result {
	owner := q.name + "."
	found := &result{secure: true, ttl: ceiling}
	for range maxChain {
		asked := owner
		r, err := m.ask(ctx, strings.TrimSuffix(asked, "."), q.qtype)
		if err != nil {
			return temporary(err, q, failedFor(err))
		}
		found.secure = found.secure && r.secure
		if owner, err = found.follow(r, asked); err != nil {
			return temporary(err, q, refusedFor)
		}
		found.take(r, owner, q.qtype)
		switch {
		case r.rcode == nxDomain && len(found.records) > 0:
			return temporary(errors.New("no such domain, and records of it"), q, refusedFor)
		case len(found.records) == 0 && r.more:
			return temporary(fmt.Errorf("none of the first %d records of the answer is of that name", maxParsed), q, refusedFor)
		case len(found.records) > 0:
			found.ttl = boundedTTL(found.ttl, ceiling)
			return found
		case r.rcode == nxDomain:
			return found.nothing(ErrNoDomain, q, r)
		case owner == asked:
			return found.nothing(ErrNoData, q, r)
		}
	}
	return temporary(errors.New("too many CNAMEs"), q, refusedFor)
}

// follow follows the CNAMEs of an answer from name on and returns the last.
func (f *result) follow(r *reply, name string) (string, error) {
	for range maxChain {
		i := slices.IndexFunc(r.records, func(rec Record) bool { return rec.Type == TypeCNAME && rec.owner == name })
		if i < 0 {
			return name, nil
		}
		name = r.records[i].Host
		f.ttl = min(f.ttl, r.records[i].TTL)
	}
	return "", errors.New("CNAMEs go round in a circle")
}

// take takes the records of owner over.
func (f *result) take(r *reply, owner string, qtype Type) {
	for _, rec := range r.records {
		if rec.Type == qtype && rec.owner == owner && len(f.records) < maxRecords {
			f.records = append(f.records, rec)
			f.ttl = min(f.ttl, rec.TTL)
		}
	}
}

// nothing is the result that there is no record. Without an SOA it should not be
// remembered (RFC 2308 5), so it is for the shortest time.
func (f *result) nothing(kind error, q question, r *reply) *result {
	ttl := time.Duration(0)
	if r.soa {
		ttl = min(f.ttl, r.negative)
	}
	return &result{secure: f.secure, ttl: boundedTTL(ttl, negCeiling),
		err: &Error{Kind: kind, Name: q.name, Type: q.qtype.String(), Secure: f.secure}}
}

// temporary is the result that there is no answer, remembered for ttl.
func temporary(err error, q question, ttl time.Duration) *result {
	return &result{ttl: ttl, err: noAnswer(err, q.name, q.qtype.String())}
}

// noAnswer is the error of a lookup that got none.
func noAnswer(err error, name, qtype string) *Error {
	return &Error{Kind: ErrTemporary, Name: name, Type: qtype, Err: err}
}

// failedFor returns how long a failure is remembered.
func failedFor(err error) time.Duration {
	var r refusal
	if errors.As(err, &r) {
		return refusedFor
	}
	return silentFor
}

// unusable returns the error for an answer that has no usable record.
func unusable(records int, name, qtype string) error {
	return noAnswer(fmt.Errorf("none of %d records holds a usable name", records),
		fmt.Sprintf("%+q", bounded(name)), qtype)
}
