package spool

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"paperpath/maildir"
)

// The model is what spool(5) says of entries, without files: it and the spool
// do the same operations and must agree after each.

// modelEntry is an entry as people see it.
type modelEntry struct {
	token   string
	inbox   Inbox
	state   string    // of Listing
	due     time.Time // what its reason says; in new/ it does not count
	pending []string  // recipients that are not done
}

func (e *modelEntry) String() string {
	return fmt.Sprintf("%s in %s, %s, for %v", e.token, e.inbox, e.state, e.pending)
}

type model struct {
	*fixture
	entries []*modelEntry
	arrived []string // "token recipient": in a mailbox, or at another host
	sent    []string // the part of it that is at another host
	tokens  int
}

// People have mailboxes where their name begins with u; the others are
// elsewhere. A name in capitals has parameters, so that it is copied.
var modelPeople = []string{"u1", "u2", "U3", "r1", "r2"}

func modelLocal(address string) bool { return strings.ToLower(address)[0] == 'u' }

// TestModel takes -rapid.checks; make torture does more of them.
func TestModel(t *testing.T) {
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue {
		f.Value.Set("25")
	}
	rapid.Check(t, func(rt *rapid.T) {
		f := newFixture(t)
		defer os.RemoveAll(f.home)
		defer f.sp.Close()
		m := &model{fixture: f}
		for _, p := range modelPeople {
			if err := maildir.Create(m.mailbox(p)); err != nil {
				t.Fatal(err)
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"accept":  m.acceptOne,
			"check":   func(rt *rapid.T) { m.stage(rt, InboxCheck) },
			"route":   func(rt *rapid.T) { m.stage(rt, InboxRoute) },
			"deliver": func(rt *rapid.T) { m.stage(rt, InboxDeliver) },
			"relay":   func(rt *rapid.T) { m.stage(rt, InboxRelay) },
			"time":    m.pass,
			"reader":  m.reader,
			"person":  m.person,
			"reopen":  m.reopen,
			"":        m.compare,
		})
	})
}

func (m *model) mailbox(person string) string { return filepath.Join(m.home, "mail", person) }

func (m *model) acceptOne(rt *rapid.T) {
	in := rapid.SampledFrom([]Inbox{InboxCheck, InboxRoute, InboxHold}).Draw(rt, "inbox")
	people := rapid.SliceOfNDistinct(rapid.SampledFrom(modelPeople), 1, len(modelPeople), rapid.ID).Draw(rt, "people")
	slices.Sort(people)
	m.tokens++
	token := fmt.Sprintf("token%d", m.tokens)
	env := Envelope{From: Path{Addr: "alice@example.org"}}
	for _, p := range people {
		r := Recipient{Addr: p}
		if p[0] < 'a' {
			r.Params = "NOTIFY=NEVER"
		}
		env.To = append(env.To, r)
	}
	body, trace, state := BytesBody([]byte("Subject: "+token+"\n\nbody\n")), Trace{By: "mx", With: WithLocal}, "new"
	var err error
	if in == InboxHold {
		state = "held"
		err = m.sp.AcceptHeld(m.sp.Reserve(), env, nil, trace, body, "odd")
	} else {
		_, err = m.sp.Accept(in, env, nil, trace, body)
	}
	if err != nil {
		rt.Fatal(err)
	}
	m.entries = append(m.entries, &modelEntry{token: token, inbox: in, state: state, pending: people})
}

// What a stage may do with an entry.
const (
	forward   = iota // what the stage is there for
	crash            // the same, but the entry is still there afterwards
	postpone         // defer
	hold             // to hold/
	partly           // relay: the first recipient is done, the others wait
	decisions        // how many there are
)

// stage runs a stage over its inbox. Its decision about each entry is drawn beforehand.
func (m *model) stage(rt *rapid.T, in Inbox) {
	plan := map[string]int{}
	for _, e := range m.entries {
		if e.inbox == in {
			plan[e.String()] = rapid.IntRange(0, decisions-1).Draw(rt, e.String())
		}
	}
	due := m.time.Add(30 * time.Minute)
	undo := map[string][]byte{} // files that a crash leaves
	m.run(in, func(_ context.Context, e *Entry) Outcome {
		seen := m.see(e)
		what, planned := plan[seen.String()]
		if !planned {
			rt.Errorf("an attempt at %v", seen)
		}
		if what == crash {
			undo[e.file.Name()], _ = os.ReadFile(e.file.Name())
		}
		return m.decide(e, what, due)
	})
	crashed := false
	for _, e := range slices.Clone(m.entries) {
		if what, planned := plan[e.String()]; planned && (e.state == "new" || !e.due.After(m.time)) {
			crashed = m.expect(e, what, due) || crashed
		}
	}
	if crashed {
		m.recover(rt, in, undo)
	}
}

// run runs a stage with one worker: the handlers draw on one plan.
func (m *model) run(in Inbox, h Handler) {
	m.t.Helper()
	r := m.runner(in, h)
	r.Workers = nil
	if err := r.Run(context.Background()); err != nil {
		m.t.Fatal(err)
	}
}

// see is a listed entry as the model knows it.
func (m *model) see(e *Entry) *modelEntry {
	text := make([]byte, 4096)
	n, _ := e.Message().ReadAt(text, 0)
	token, _, _ := strings.Cut(strings.TrimPrefix(string(text[:n]), "Subject: "), "\n")
	seen := &modelEntry{token: token, inbox: e.Inbox, state: e.State()}
	for _, i := range e.Pending() {
		seen.pending = append(seen.pending, e.Envelope.To[i].Addr)
	}
	return seen
}

// decide is the stage.
func (m *model) decide(e *Entry, what int, due time.Time) Outcome {
	switch {
	case what == postpone:
		return DeferUntil(due, "not now")
	case what == hold:
		return HoldBecause("a person must look")
	case what == partly && e.Inbox == InboxRelay && len(e.Pending()) > 0:
		o := DeferUntil(due, "not all")
		o.Done = e.Pending()[:1]
		return o
	case e.Inbox == InboxCheck:
		return HandOnTo(InboxRoute)
	case e.Inbox == InboxRoute:
		return m.route(e)
	case e.Inbox == InboxDeliver:
		return DeliverTo(m.mailbox(e.Envelope.To[0].Addr))
	}
	return DropBecause("all recipients are done")
}

// route makes a child for each mailbox and one for all other hosts.
func (m *model) route(e *Entry) Outcome {
	var children []Child
	var remote []Recipient
	for _, i := range e.Pending() {
		r := e.Envelope.To[i]
		if modelLocal(r.Addr) {
			children = append(children, Child{Inbox: InboxDeliver, From: e.Envelope.From, To: []Recipient{r}})
		} else {
			remote = append(remote, r)
		}
	}
	if len(remote) > 0 {
		children = append(children, Child{Inbox: InboxRelay, From: e.Envelope.From, To: remote})
	}
	if len(children) == 1 && len(e.Pending()) == len(e.Envelope.To) {
		return HandOnTo(children[0].Inbox)
	}
	return SplitInto(children...)
}

// expect changes the model as the stage decided. It reports whether the crash was one
// that leaves the entry behind.
func (m *model) expect(e *modelEntry, what int, due time.Time) (crashed bool) {
	switch {
	case what == postpone:
		e.state, e.due = "deferred", due
	case what == hold:
		e.inbox, e.state, e.due = InboxHold, "held", time.Time{}
	case what == partly && e.inbox == InboxRelay && len(e.pending) > 0:
		m.sent = append(m.sent, e.token+" "+e.pending[0])
		e.pending, e.state, e.due = e.pending[1:], "deferred", due
	case e.inbox == InboxCheck:
		e.inbox, e.state, e.due = InboxRoute, "new", time.Time{}
	case e.inbox == InboxRoute:
		m.remove(e)
		m.split(e)
		return what == crash
	case e.inbox == InboxDeliver:
		m.remove(e)
		m.arrived = append(m.arrived, e.token+" "+e.pending[0])
		return what == crash
	default:
		m.remove(e)
		for _, p := range e.pending {
			m.sent = append(m.sent, e.token+" "+p)
		}
	}
	return false
}

func (m *model) split(e *modelEntry) {
	var remote []string
	for _, p := range e.pending {
		if modelLocal(p) {
			m.entries = append(m.entries, &modelEntry{token: e.token, inbox: InboxDeliver, state: "new", pending: []string{p}})
		} else {
			remote = append(remote, p)
		}
	}
	if len(remote) > 0 {
		m.entries = append(m.entries, &modelEntry{token: e.token, inbox: InboxRelay, state: "new", pending: remote})
	}
}

func (m *model) remove(e *modelEntry) {
	m.entries = slices.DeleteFunc(m.entries, func(x *modelEntry) bool { return x == e })
}

// recover puts back what a crash before the last step of a split or of a copy would
// have left, and lets the stage decide again: as if nothing had happened.
func (m *model) recover(rt *rapid.T, in Inbox, undo map[string][]byte) {
	back := 0
	for name, content := range undo {
		if _, err := os.Stat(name); err == nil || m.wasRenamed(name) {
			continue
		}
		if err := os.WriteFile(name, content, 0o600); err != nil {
			rt.Fatal(err)
		}
		back++
	}
	if back == 0 {
		return
	}
	again := 0
	m.run(in, func(_ context.Context, e *Entry) Outcome {
		if _, crashed := undo[e.file.Name()]; !crashed {
			return DeferUntil(m.time, "another one")
		}
		again++
		return m.decide(e, forward, m.time)
	})
	if again != back {
		rt.Errorf("%d of %d entries were tried again", again, back)
	}
	m.compareStored(rt)
}

// wasRenamed reports whether the entry left by a rename, which a crash does or
// does not: its name is elsewhere.
func (m *model) wasRenamed(path string) bool {
	base, _, _ := strings.Cut(filepath.Base(path), ":")
	for _, pattern := range []string{"spool/*/new/", "spool/*/cur/", "mail/*/new/"} {
		if names, _ := filepath.Glob(filepath.Join(m.home, pattern+base+"*")); len(names) > 0 {
			return true
		}
	}
	return false
}

// compare compares the spool and the mailboxes with the model.
func (m *model) compare(rt *rapid.T) {
	var want, got []string
	for _, e := range m.entries {
		want = append(want, e.String())
	}
	for _, in := range Inboxes() {
		list, err := m.sp.List(in)
		if err != nil {
			rt.Fatal(err)
		}
		for _, l := range list {
			e, err := m.sp.Find(l.Key)
			if err != nil {
				rt.Fatalf("%+v: %v", l, err)
			}
			got = append(got, m.see(e).String())
			e.Close()
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		rt.Fatalf("the spool holds\n%s\nthe model\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	m.compareStored(rt)
}

func (m *model) compareStored(rt *rapid.T) {
	var got []string
	for _, p := range modelPeople {
		names, _ := filepath.Glob(filepath.Join(m.mailbox(p), "new", "*"))
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				rt.Fatal(err)
			}
			_, rest, _ := strings.Cut(string(text), "\nSubject: ")
			token, _, _ := strings.Cut(rest, "\n")
			got = append(got, token+" "+p)
		}
	}
	want := slices.Clone(m.arrived)
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		rt.Fatalf("in mailboxes are %q, in the model %q", got, want)
	}
}
