package spool

import (
	"os"
	"path/filepath"
	"time"

	"pgregory.net/rapid"
)

// What happens to the spool of the model apart from its stages: time, people, and
// programs that start again.

func (m *model) pass(rt *rapid.T) {
	m.time = m.time.Add(time.Duration(rapid.IntRange(1, 60).Draw(rt, "minutes")) * time.Minute)
}

// reader moves all names of an inbox from new/ to cur/, as mail readers do.
func (m *model) reader(rt *rapid.T) {
	in := rapid.SampledFrom([]Inbox{InboxCheck, InboxRoute, InboxDeliver, InboxRelay}).Draw(rt, "inbox")
	names, _ := filepath.Glob(filepath.Join(m.home, "spool", string(in), "new", "*"))
	for _, name := range names {
		to := filepath.Join(m.home, "spool", string(in), "cur", filepath.Base(name)+":2,S")
		if err := os.Rename(name, to); err != nil {
			rt.Fatal(err)
		}
	}
	for _, e := range m.entries {
		if e.inbox == in && e.state == "new" {
			e.state = "deferred"
		}
	}
}

// person does one of the verbs to an entry.
func (m *model) person(rt *rapid.T) {
	if len(m.entries) == 0 {
		return
	}
	at := rapid.SampledFrom(m.entries).Draw(rt, "entry")
	e := m.findEntry(rt, at)
	if e == nil {
		return
	}
	defer e.Close()
	verb := rapid.SampledFrom([]string{"retry", "hold", "release", "remove"}).Draw(rt, "verb")
	var err error
	switch {
	case verb == "hold" && at.inbox != InboxHold:
		err = m.sp.HoldByHand(e, "by hand")
		at.inbox, at.state, at.due = InboxHold, "held", time.Time{}
	case verb == "release" && at.inbox == InboxHold:
		err = m.sp.Release(e)
		at.inbox, at.state = InboxRoute, "new"
	case verb == "retry" && at.inbox != InboxHold:
		err = m.sp.Retry(e)
		at.state = "new"
	case verb == "remove":
		err = m.sp.Remove(e)
		m.remove(at)
	}
	if err != nil {
		rt.Fatalf("%s %v: %v", verb, at, err)
	}
}

// findEntry finds the file of an entry of the model.
func (m *model) findEntry(rt *rapid.T, at *modelEntry) *Entry {
	list, err := m.sp.List(at.inbox)
	if err != nil {
		rt.Fatal(err)
	}
	for _, l := range list {
		e, err := m.sp.Find(l.Key)
		if err != nil {
			rt.Fatal(err)
		}
		if m.see(e).String() == at.String() {
			return e
		}
		e.Close()
	}
	return nil
}

func (m *model) reopen(rt *rapid.T) {
	m.sp.Close()
	sp, err := Open(m.home, m.options())
	if err != nil {
		rt.Fatal(err)
	}
	m.sp = sp
}
