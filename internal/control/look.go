package control

import (
	"io/fs"
	"os"
	"strings"
	"time"
)

// Moment is how long programs let a look at a setting count.
const Moment = 100 * time.Millisecond

// view says which looks count for the questions of one piece of work.
type view struct {
	trust time.Duration // how long a look counts; 0: each question looks for itself
	since time.Time     // looks from before do not count
}

// looks are what was seen of the control files a moment ago, by anybody. A message makes
// dozens of questions, most of them about the same files; without looks each is a system
// call or two.
type looks struct {
	files map[string]seen
	dir   struct { // control/ itself
		at    time.Time
		stamp stamp
		err   error
		names []string // where it has just changed
	}
	absent   map[string]bool // what control/ did not have in the state absentIn
	absentIn stamp
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
	c.view.trust = looks
}

// Anew makes the next question about each file look at it again.
func (c *Control) Anew() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.view.since = time.Now()
}

// View returns the same settings for one who works beside others, such as a session: it has
// a Trust and an Anew of its own.
func (c *Control) View(looks time.Duration) *Control {
	return &Control{c.shared, view{trust: looks, since: time.Now()}}
}

// counts reports whether a look still counts.
func (v view) counts(at time.Time) bool {
	return v.trust > 0 && at.After(v.since) && time.Since(at) < v.trust
}

// note keeps what a look at a file has found. That a file is absent may follow from the look
// at the directory, and is then as old as that.
func (c *Control) note(name string, s seen) {
	if c.view.trust == 0 {
		return
	}
	if dir := c.looks.dir.at; !s.got.stamp.present && dir.Before(s.at) {
		s.at = dir
	}
	if c.looks.files == nil || len(c.looks.files) > maxLooks {
		c.looks.files = map[string]seen{}
	}
	c.looks.files[name] = s
}

// isAbsent reports whether there is no such name in control/.
func (c *Control) isAbsent(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := name + "/" // no file has this name
	if s, ok := c.looks.files[key]; ok && c.view.counts(s.at) {
		return plainAbsent(s.err)
	}
	at := time.Now()
	_, err := c.stat(name)
	c.note(key, seen{at: at, err: err})
	return plainAbsent(err)
}

// stat returns the state of a file in control/. What the directory did not have it does not
// have until it changes, so that one look at it answers for all settings that nobody made.
// The caller holds mu.
func (c *Control) stat(name string) (stamp, error) {
	if c.view.trust == 0 {
		return stat(c.path(name))
	}
	top, _, _ := strings.Cut(name, "/")
	dir, err := c.lookAtDir()
	still := err == nil && c.settled(dir)
	if still && c.looks.absentIn == dir && c.looks.absent[top] {
		return stamp{}, fs.ErrNotExist
	}
	s, err := stat(c.path(name))
	if !still || !plainAbsent(err) {
		return s, err
	}
	// A link that leads nowhere is a name: what it leads to may come any time.
	if _, err := os.Lstat(c.path(top)); plainAbsent(err) {
		if c.looks.absentIn != dir {
			c.looks.absent, c.looks.absentIn = map[string]bool{}, dir
		}
		c.looks.absent[top] = true
	}
	return s, err
}

// settled reports whether something changed so long ago that another change would show in
// its times.
func (c *Control) settled(s stamp) bool {
	now := c.now()
	return now.Sub(time.Unix(0, s.mtime)) >= settled && now.Sub(time.Unix(0, s.ctime)) >= settled
}

// lookAtDir returns the state of control/. The caller holds mu.
func (c *Control) lookAtDir() (stamp, error) {
	d := &c.looks.dir
	if !c.view.counts(d.at) {
		d.at, d.names = time.Now(), nil
		d.stamp, d.err = stat(c.path(""))
	}
	return d.stamp, d.err
}
