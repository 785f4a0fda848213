// Package dns has the stub resolver of all programs: it asks the server in
// control/resolver, or those of the system, and distinguishes what mail must not
// confuse: a name that does not exist, a name without such a record, and a DNS that
// does not answer, because of which no message fails. Answers are remembered as long as
// they say; concurrent equal questions are asked once.
//
// Answers come from strangers: names in them that have anything but letters, digits, '-'
// and '_' are left out.
package dns

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// lookAgain is how long settings count as unchanged: a cached answer costs no system call.
// hostsAgain is that of the hosts file, which changes next to never.
const (
	lookAgain  = 100 * time.Millisecond
	hostsAgain = time.Second
)

// Settings says which server to ask.
type Settings interface {
	// Resolver returns address:port, "" for the system's servers, and whether the AD bit
	// of its answers is believed.
	Resolver() (server string, trusted bool, err error)
}

// Resolver looks names up and remembers the answers. A process has one. Its methods may be
// called concurrently.
type Resolver struct {
	Now func() time.Time // for the age of answers

	settings Settings
	system   watched[[]string]
	hosts    watched[map[string][]netip.Addr]
	tryTime  time.Duration
	again    time.Duration // lookAgain

	recorded *Tape // what it says goes there; nil: nowhere
	replayed *Tape // what it says comes from there; nil: from servers

	mu     sync.Mutex
	memory *memory
	looked time.Time // at the settings
}

// New returns a resolver. It reads nothing yet. Changes of the setting, of resolv.conf
// and of the hosts file are seen at once; if other servers are to be asked, what the ones
// before answered is forgotten.
func New(s Settings) *Resolver {
	return &Resolver{
		Now:      time.Now,
		settings: s,
		system:   watched[[]string]{path: "/etc/resolv.conf", parse: parseResolvConf},
		hosts:    watched[map[string][]netip.Addr]{path: "/etc/hosts", parse: parseHosts, again: hostsAgain},
		tryTime:  tryTime, again: lookAgain,
	}
}

// Answer is what the DNS says about a name.
type Answer struct {
	Records []Record // at the end of all aliases; not to be changed
	Secure  bool     // a resolver that control/resolver trusts says that it is authentic (RFC 4035 3.2.3)
}

// Ask returns the records of one type that a name has. If there are none, the error says
// why not.
func (r *Resolver) Ask(ctx context.Context, domain string, qtype Type) (Answer, error) {
	name, err := ASCII(domain)
	if err != nil {
		return Answer{}, err
	}
	res := r.lookup(ctx, question{name, qtype})
	if res.err != nil {
		return Answer{Secure: res.secure}, res.err
	}
	return Answer{res.records, res.secure}, nil
}

// lookup answers a question.
func (r *Resolver) lookup(ctx context.Context, q question) *result {
	if m := missedBy(ctx); m != nil {
		return r.recall(q, m)
	}
	if r.replayed != nil {
		return r.replayed.next(q)
	}
	m, err := r.current()
	if err != nil {
		return r.recorded.add(q, temporary(err, q, 0))
	}
	return r.recorded.add(q, m.answer(ctx, q))
}

// remembered returns the result of a question without asking, nil if it has to be asked.
func (r *Resolver) remembered(q question) *result {
	if r.replayed != nil || r.recorded != nil {
		return nil
	}
	m, err := r.current()
	if err != nil {
		return nil
	}
	return m.cache.get(q, m.now())
}

// current returns the memory for the servers that are to be asked now.
func (r *Resolver) current() (*memory, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now() // files change by this clock, whatever Now says
	if r.memory != nil && now.Sub(r.looked) < r.again {
		return r.memory, nil
	}
	servers, trusted, err := r.servers()
	if err != nil {
		return nil, err
	}
	r.looked = now
	if r.memory == nil || !r.memory.same(servers, trusted) {
		r.memory = &memory{servers: slices.Clone(servers), trusted: trusted, tryTime: r.tryTime, now: r.Now,
			cache: newCache(), flights: map[question]*flight{}}
	}
	return r.memory, nil
}

// cleanName returns a name from an answer without the last dot; ok is false for what no
// host or mail domain is called.
func cleanName(fqdn string) (name string, ok bool) {
	name = strings.TrimSuffix(fqdn, ".")
	return name, checkName(name) == nil
}
