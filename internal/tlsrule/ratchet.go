package tlsrule

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/ratelimit"
)

// patience is how long a host is held to the TLS that it had, at most. It is far shorter
// than mail lives: a host whose TLS is broken for good delays mail and loses none.
const patience = 48 * time.Hour

// Ratchet remembers which hosts had TLS, so that somebody who takes STARTTLS out of a
// session delays mail, and does not read it.
type Ratchet struct {
	table *ratelimit.Table
	c     *control.Control
}

// OpenRatchet returns the memory in run/tls-seen of a home, which is made at its first
// use.
func OpenRatchet(c *control.Control) *Ratchet {
	return &Ratchet{table: ratelimit.Open(filepath.Join(c.Home(), "run", "tls-seen")), c: c}
}

// Memory is what is known about a host.
type Memory struct {
	TLS      time.Time // when a session was last in TLS; zero: never
	Verified bool      // and whether its certificate proved its name
	Since    time.Time // the first failure after that; zero: there is none
	Last     time.Time // the last of them
}

// What Entry.Count says about a session in TLS.
const (
	hadTLS      = 1
	wasVerified = 2
)

func workedKey(host string) string { return "tls " + strings.ToLower(host) }
func failedKey(host string) string { return "failed " + strings.ToLower(host) }

// Memory returns what is known about a host (name:port).
func (r *Ratchet) Memory(host string) (Memory, error) {
	worked, err := r.table.Get(workedKey(host))
	if err != nil {
		return Memory{}, err
	}
	failed, err := r.table.Get(failedKey(host))
	m := memoryOf(worked)
	m.Since = failed.Time
	if failed.Count != 0 {
		m.Last = time.Unix(int64(failed.Count), 0)
	}
	return m, err
}

// memoryOf is what the entry of a session in TLS says.
func memoryOf(e ratelimit.Entry) Memory {
	return Memory{TLS: e.Time, Verified: e.Count&wasVerified != 0}
}

// Worked notes a session in TLS.
func (r *Ratchet) Worked(host string, verified bool, now time.Time) error {
	e := ratelimit.Entry{Time: now, Count: hadTLS}
	if verified {
		e.Count |= wasVerified
	}
	err := r.table.Update(workedKey(host), func(ratelimit.Entry) ratelimit.Entry { return e })
	if err != nil {
		return err
	}
	return r.clear(failedKey(host))
}

// Hold is what the ratchet says to a session that is worse than an earlier one.
type Hold struct {
	Held  bool   // the host is not used now
	Why   string // what it had, and until when it is held; "": nothing is known
	Freed bool   // it was held until now, and is not any more: Why says so
	Fault error  // why the memory cannot be used: then nothing is held
}

// Fell notes that a host has no TLS any more (verify: a certificate that does not prove its
// name), and says whether it is held to what it had. An error is of our settings.
func (r *Ratchet) Fell(host string, verify bool, now time.Time) (Hold, error) {
	set, err := r.c.TLSRatchet()
	if err != nil {
		return Hold{}, err
	}
	m, err := r.Memory(host)
	if err != nil || !m.binds(set, verify, now) {
		return Hold{Fault: err}, nil
	}
	retry, err := r.c.Retry()
	if err != nil {
		return Hold{}, err
	}
	since := m.Since
	if since.IsZero() || now.Sub(m.Last) > retry.Lifetime { // no mail has waited since then
		since = now
	}
	had := fmt.Sprintf("it had %s on %s", m.what(verify), m.TLS.UTC().Format(time.DateOnly))
	end := since.Add(min(patience, retry.Lifetime/2))
	if !now.Before(end) {
		err := r.Forget(host)
		return Hold{Freed: true, Fault: err,
			Why: fmt.Sprintf("%s and not since %s", had, since.UTC().Format(time.RFC3339))}, nil
	}
	err = r.table.Update(failedKey(host), func(ratelimit.Entry) ratelimit.Entry {
		return ratelimit.Entry{Time: since, Count: uint64(max(now.Unix(), 1))}
	})
	return Hold{Held: err == nil, Fault: err,
		Why: fmt.Sprintf("%s, so it is held to that until %s", had, end.UTC().Format(time.RFC3339))}, nil
}

// Demands says what a host is held to: TLS, and a certificate that proves its name. It
// notes nothing. A memory that cannot be used holds nothing.
func (r *Ratchet) Demands(host string, now time.Time) (secure, verified bool) {
	set, err := r.c.TLSRatchet()
	if err != nil {
		return false, false
	}
	worked, err := r.table.Get(workedKey(host))
	if err != nil {
		return false, false
	}
	m := memoryOf(worked)
	return m.binds(set, false, now), m.binds(set, true, now)
}

// binds reports whether a host is held to what it had.
func (m Memory) binds(set control.TLSRatchet, verify bool, now time.Time) bool {
	if m.TLS.IsZero() || set.Time == 0 || verify && !(set.Verify && m.Verified) {
		return false
	}
	return now.Sub(m.TLS) < set.Time
}

func (m Memory) what(verify bool) string {
	if verify {
		return "a valid certificate"
	}
	return "TLS"
}

// Forget forgets a host.
func (r *Ratchet) Forget(host string) error {
	if err := r.clear(workedKey(host)); err != nil {
		return err
	}
	return r.clear(failedKey(host))
}

// clear makes an entry as if it had never been.
func (r *Ratchet) clear(key string) error {
	return r.table.Update(key, func(ratelimit.Entry) ratelimit.Entry { return ratelimit.Entry{} })
}

// String is the memory in words.
func (m Memory) String() string {
	if m.TLS.IsZero() {
		return "nothing"
	}
	text := "TLS on " + m.TLS.UTC().Format(time.RFC3339)
	if m.Verified {
		text += ", certificate verified"
	}
	if !m.Since.IsZero() {
		text += ", none since " + m.Since.UTC().Format(time.RFC3339)
	}
	return text
}

// Close closes the file.
func (r *Ratchet) Close() error { return r.table.Close() }
