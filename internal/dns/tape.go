package dns

import (
	"net/netip"
	"sync"
)

// Tape has the answers that a resolver gave, or will give: with Record a resolver notes
// what it hears, with Replay it says it again and asks nobody.
type Tape struct {
	mu      sync.Mutex
	order   []question
	answers map[question][]*result // one after another
	told    map[question]int       // how many of them were given
}

// typeHosts marks addresses from the hosts file; no record has this type.
const typeHosts Type = 0xFFFF

func newTape() *Tape { return &Tape{answers: map[question][]*result{}, told: map[question]int{}} }

// Record begins to note the answers. It is called before the first lookup.
func (r *Resolver) Record() *Tape {
	r.recorded = newTape()
	return r.recorded
}

// Replay returns a resolver that gives the answers of t, one after another where a
// question was asked several times. What t lacks has no answer so far.
func Replay(t *Tape) *Resolver {
	r := New(nil)
	r.replayed = t
	return r
}

// add notes an answer, once as long as it stays the same.
func (t *Tape) add(q question, res *result) *result {
	if t == nil {
		return res
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	all := t.answers[q]
	if len(all) == 0 {
		t.order = append(t.order, q)
	}
	if len(all) == 0 || !all[len(all)-1].same(res) {
		t.answers[q] = append(all, res)
	}
	return res
}

// same reports whether two results say the same; the time they are good for aside.
func (r *result) same(other *result) bool {
	if r == other {
		return true
	}
	return r.err != nil && other.err != nil && r.err.Kind == other.err.Kind && r.err.Error() == other.err.Error()
}

// next gives the next answer to a question; the last one stays.
func (t *Tape) next(q question) *result {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := t.answers[q]
	if len(all) == 0 {
		return temporary(errNotRecorded, q, 0)
	}
	n := t.told[q]
	t.told[q] = min(n+1, len(all)-1)
	return all[n]
}

// hosts gives the addresses that the hosts file had for a name.
func (t *Tape) hosts(name string) []netip.Addr {
	q := question{name, typeHosts}
	t.mu.Lock()
	known := len(t.answers[q]) > 0
	t.mu.Unlock()
	if !known {
		return nil
	}
	return t.next(q).addrs()
}

// addHosts notes what the hosts file has for a name.
func (t *Tape) addHosts(name string, list []netip.Addr) {
	if t == nil || len(list) == 0 {
		return
	}
	res := &result{}
	for _, ip := range list {
		res.records = append(res.records, Record{Type: typeHosts, Addr: ip})
	}
	t.add(question{name, typeHosts}, res)
}
