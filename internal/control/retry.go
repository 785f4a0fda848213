package control

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Retry is the schedule of attempts.
type Retry struct {
	Steps    []time.Duration // the waits one after another; the last repeats
	Lifetime time.Duration   // an entry expires when it is older than this ...
	Attempts int             // ... and has been tried this often
	Warning  time.Duration   // the age at which the sender hears of the delay; 0: they do not
}

// retryKeys are the rows of control/retry.
func retryKeys() []Key {
	return []Key{
		{Name: "steps", Default: "5m 10m 30m 1h 2h 4h"},
		{Name: "lifetime", Default: "5d"},
		{Name: "attempts", Default: "10"},
		{Name: "delay-warning", Default: "4h"},
	}
}

func defaultRetry() (r Retry) {
	for _, k := range retryKeys() {
		r.set(k.Name, k.Default)
	}
	return r
}

// Next returns how long the entry with this key waits at this age for its next attempt.
// It depends on both alone: the waits follow one another from the arrival, and the result
// is the one that the age falls into, spread.
func (r Retry) Next(age time.Duration, key string) time.Duration {
	var end time.Duration
	for _, step := range r.Steps {
		end += step
		if age < end {
			return r.Spread(step, key)
		}
	}
	return r.Spread(r.longestStep(), key)
}

// A fault of this machine is mended by a person, at any time: an entry that waits for that
// is tried again after a mendShare of its age, and after mendFirst at the earliest.
const (
	mendFirst = 30 * time.Second
	mendShare = 4
)

// NextOurs returns the wait after a fault of this machine, such as a broken setting or a
// directory that is missing: not longer than Next, and short while the entry is young.
func (r Retry) NextOurs(age time.Duration, key string) time.Duration {
	return min(r.Next(age, key), r.Spread(max(age/mendShare, mendFirst), key))
}

// spreadBy is the share of a wait by which it grows at most.
const spreadBy = 4

// Spread lengthens a wait by up to a quarter, so that entries which failed together do
// not fall due together. The same wait of the same entry always gives the same result;
// another wait, or another entry, another one.
func (r Retry) Spread(wait time.Duration, key string) time.Duration {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s", wait, key))
	n := binary.BigEndian.Uint64(sum[:])
	return wait + time.Duration(float64(wait)/spreadBy*float64(n>>11)/(1<<53))
}

// Longest returns the longest wait. A due time further in the future than that comes
// from a clock that was wrong.
func (r Retry) Longest() time.Duration {
	longest := r.longestStep()
	return longest + longest/spreadBy
}

func (r Retry) longestStep() time.Duration {
	var longest time.Duration
	for _, step := range r.Steps {
		longest = max(longest, step)
	}
	return longest
}

// Expired reports whether to give up on an entry. Its age alone is not enough: the
// clock may have been set, and a spool may come from a backup.
func (r Retry) Expired(age time.Duration, attempts int) bool {
	return age > r.Lifetime && attempts >= r.Attempts
}

// Retry returns the schedule of attempts.
func (c *Control) Retry() (Retry, error) {
	r, err := value[*Retry](c, "retry")
	if err != nil || r == nil {
		return defaultRetry(), err
	}
	return *r, nil
}

func parseRetry(name string, data []byte) (*Retry, error) {
	rs, err := rows(name, data)
	if err != nil {
		return nil, err
	}
	r := defaultRetry()
	for _, row := range rs {
		if known := names(retryKeys()); !slices.Contains(known, row.key) {
			return nil, fail(name, row.n, "unknown key %q (%s)", row.key, strings.Join(known, ", "))
		}
		if wrong := r.set(row.key, row.value); wrong != "" {
			return nil, fail(name, row.n, "%s: %q %s", row.key, row.value, wrong)
		}
	}
	return &r, nil
}

func (r *Retry) set(key, value string) (wrong string) {
	switch key {
	case "steps":
		r.Steps, wrong = durations(value)
	case "lifetime":
		r.Lifetime, wrong = duration(value)
	case "delay-warning":
		if r.Warning = 0; value != "never" {
			r.Warning, wrong = duration(value)
		}
	case "attempts":
		var n int64
		n, wrong = number(value, 1)
		r.Attempts = int(min(n, 1<<30))
	}
	return wrong
}

// durations parses waits of at least a second each.
func durations(s string) ([]time.Duration, string) {
	var out []time.Duration
	for _, word := range strings.Fields(s) {
		d, wrong := duration(word)
		if wrong != "" {
			return nil, "has a step that " + wrong
		}
		if d < time.Second {
			return nil, "has a step below a second"
		}
		out = append(out, d)
	}
	return out, ""
}
