package control

import "time"

// looks are what was seen of the control files a moment ago. A runner asks for a dozen
// settings for each entry, most of them several times; without looks each question is a
// system call or two.
type looks struct {
	trust time.Duration // how long a look counts; 0: each question looks for itself
	since time.Time     // looks from before do not count
	files map[string]seen
	dir   struct { // control/ itself
		at    time.Time
		stamp stamp
		names []string
	}
}

// seen is what a look at a file has found.
type seen struct {
	at  time.Time
	val any
	got cached
	err error
}

// maxLooks is how many files looks remember: some are named after a domain in a message.
const maxLooks = 1000

// Trust lets a look at a file count for all questions within that time. Whoever calls it
// calls Anew with each new piece of work, so that no answer is older than its work.
func (c *Control) Trust(looks time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.looks.trust = looks
}

// Anew makes the next question about each file look at it again.
func (c *Control) Anew() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.looks.since = time.Now()
	if len(c.looks.files) > maxLooks {
		c.looks.files = nil
	}
}

// counts reports whether a look still counts.
func (l *looks) counts(at time.Time) bool {
	return l.trust > 0 && at.After(l.since) && time.Since(at) < l.trust
}

// note keeps what a look at a file has found.
func (l *looks) note(name string, s seen) {
	if l.trust == 0 {
		return
	}
	if l.files == nil || len(l.files) > maxLooks {
		l.files = map[string]seen{}
	}
	l.files[name] = s
}

// isAbsent reports whether there is no such name in control/.
func (c *Control) isAbsent(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := name + "/" // no file has this name
	if s, ok := c.looks.files[key]; ok && c.looks.counts(s.at) {
		return plainAbsent(s.err)
	}
	at := time.Now()
	_, err := stat(c.path(name))
	c.looks.note(key, seen{at: at, err: err})
	return plainAbsent(err)
}
