// Package trace answers where a message is: it finds the life of a message in the events
// of the log, across stages, children and bounces.
package trace

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/maillog"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// Trace is one search.
type Trace struct {
	subject
	since []byte // in the form of an event's time
	most  int    // messages

	links map[string][]string // keys of one life: a message and its reports
	hits  map[string]string   // the keys that match, with the time of their last event that does

	steps map[string][]step // of the hits
	kept  int               // steps
	again bool              // steps is not all that the lives have: read the files once more

	tail *tail // the log, if it is followed
}

// maxKept bounds the steps that are kept before it is known which lives will be shown.
const maxKept = 100000

// subject is what is searched for.
type subject struct {
	key  string // a key or a part of one, in lower case
	text []byte // an address or a Message-ID
}

// minPart is the length of the shortest part of a key that is taken for one.
const minPart = 6

// New returns a search for the messages that subject names: a key (or at least six
// characters of it, or the name of its file), an address of the envelope, or a Message-ID.
// Events before since do not count (zero: all do). If more than most messages match, the
// latest are shown.
func New(what string, since time.Time, most int) (*Trace, error) {
	t := &Trace{most: most, links: map[string][]string{}, hits: map[string]string{}, steps: map[string][]step{}}
	if !since.IsZero() {
		t.since = []byte(since.UTC().Format(eventTime))
	}
	what = strings.TrimSpace(what)
	if inner, ok := strings.CutPrefix(what, "<"); ok {
		what = strings.TrimSuffix(inner, ">")
	}
	if strings.Contains(what, "@") {
		t.text = []byte(what)
		return t, nil
	}
	what = what[strings.LastIndexByte(what, '/')+1:]
	if i := strings.IndexAny(what, ",:"); i >= 0 {
		what = what[:i]
	}
	if len(what) < minPart {
		return nil, status.UsageError("%q is no address, no Message-ID and no key (at least %d characters of one)", what, minPart)
	}
	t.key = what
	return t, nil
}

// root returns the key of the message that an entry is of: a child has its parent's.
func root(key []byte) string { return string(spool.Key(key).Root()) }

// messageOf returns what stands for the message that an event is about. A refusal has no key,
// because nothing was accepted: each is a message of its own. "" is about none.
func messageOf(e maillog.Event) string {
	switch {
	case string(e.Key) != maillog.NoKey:
		return root(e.Key)
	case string(e.Name) == "refused":
		return maillog.NoKey + string(e.Time)
	}
	return ""
}

// look notes what an event says about which keys are wanted and which belong together.
func (t *Trace) look(e maillog.Event) {
	message := messageOf(e)
	if message == "" || bytes.Compare(e.Time, t.since) < 0 {
		return
	}
	switch string(e.Name) {
	case "bounced":
		t.link(root(e.Key), root([]byte(e.Value("bounce"))))
	case "reported":
		t.link(root(e.Key), root([]byte(e.Value("report"))))
	}
	if t.matches(e) {
		if _, known := t.hits[message]; !known && string(e.Name) != "accepted" && string(e.Name) != "refused" {
			t.again = true // it had a life before
		}
		t.hits[message] = string(e.Time)
	}
	if _, hit := t.hits[message]; hit {
		t.keep(message, e)
	}
}

// keep notes an event of a message that matches. Most lives begin with the event that
// matches, and have no reports; then the files are read once.
func (t *Trace) keep(message string, e maillog.Event) {
	if t.kept++; t.again || t.kept > maxKept {
		t.again, t.steps = true, nil
		return
	}
	if s, err := newStep(e); err == nil { // nobody but us writes events
		t.steps[message] = append(t.steps[message], s)
	}
}

func (t *Trace) link(a, b string) {
	if a != b && b != "" {
		t.links[a] = append(t.links[a], b)
		t.links[b] = append(t.links[b], a)
	}
}

// matches reports whether an event is about the subject.
func (t *Trace) matches(e maillog.Event) bool {
	if t.key != "" {
		return bytes.Contains(e.Key, []byte(t.key))
	}
	if !e.Contains(t.text) {
		return false
	}
	want := string(t.text)
	for name, value := range e.Values() {
		switch name {
		case "from", "to", "login":
			for one := range strings.FieldsSeq(value) {
				if addr.Fold(one) == addr.Fold(want) {
					return true
				}
			}
		case "msgid":
			if strings.Trim(value, "<>") == want {
				return true
			}
		}
	}
	return false
}

// wanted returns the lives that match, each as the set of its keys, and how many more
// there are.
func (t *Trace) wanted() (of map[string]int, more int) {
	keys := make([]string, 0, len(t.hits))
	for k := range t.hits {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b string) int {
		return cmp.Or(cmp.Compare(t.hits[b], t.hits[a]), cmp.Compare(a, b))
	})
	of = map[string]int{}
	lives := 0
	for _, k := range keys {
		if _, known := of[k]; known {
			continue
		}
		t.spread(of, k, lives)
		lives++
	}
	maps.DeleteFunc(of, func(_ string, n int) bool { return n >= t.most })
	return of, max(lives-t.most, 0)
}

// spread puts a key and all that are linked to it into life n.
func (t *Trace) spread(of map[string]int, key string, n int) {
	todo := []string{key}
	for len(todo) > 0 {
		k := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if _, known := of[k]; known {
			continue
		}
		of[k] = n
		todo = append(todo, t.links[k]...)
	}
}

// step is one event of a life.
type step struct {
	at     time.Time
	time   string
	prog   string
	event  string
	key    string
	values []value
}

type value struct{ name, text string }

func newStep(e maillog.Event) (step, error) {
	at, err := time.Parse(time.RFC3339Nano, string(e.Time))
	if err != nil {
		return step{}, fmt.Errorf("the time of an event: %w", err)
	}
	s := step{at: at, time: string(e.Time), prog: string(e.Prog), event: string(e.Name), key: string(e.Key)}
	for name, text := range e.Values() {
		s.values = append(s.values, value{name, text})
	}
	return s, nil
}

func (s step) value(name string) string {
	for _, v := range s.values {
		if v.name == name {
			return v.text
		}
	}
	return ""
}

// Find reads the files, oldest first, and returns the lives that match, in the order of
// their first events, and how many more match.
func (t *Trace) Find(files []string) (lives []Life, more int, err error) {
	if err := t.each(files, t.look); err != nil {
		return nil, 0, err
	}
	of, more := t.wanted()
	for message := range of {
		if _, hit := t.hits[message]; !hit { // a report does not match by itself
			t.again = true
		}
	}
	if t.again {
		t.steps = map[string][]step{}
		if err := t.each(files, func(e maillog.Event) { t.collect(of, e) }); err != nil {
			return nil, 0, err
		}
	}
	return t.lives(of), more, nil
}

// each calls do for each event in the files. The log is read through the descriptor of
// which Follow reads the rest: the file may be renamed in between.
func (t *Trace) each(files []string, do func(maillog.Event)) error {
	for _, f := range files {
		var err error
		if t.tail != nil && t.tail.path == f {
			t.tail.read = 0
			err = t.tail.more(do)
		} else {
			err = each(f, do)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// collect keeps an event that belongs to one of the lives that will be shown.
func (t *Trace) collect(of map[string]int, e maillog.Event) {
	message := messageOf(e)
	if _, ok := of[message]; !ok {
		return
	}
	if s, err := newStep(e); err == nil {
		t.steps[message] = append(t.steps[message], s)
	}
}

// lives returns the steps of each life in the order of time.
func (t *Trace) lives(of map[string]int) []Life {
	all := make([]Life, len(of))
	for message, n := range of {
		all[n].steps = append(all[n].steps, t.steps[message]...)
	}
	all = slices.DeleteFunc(all, func(l Life) bool { return len(l.steps) == 0 })
	for _, l := range all {
		slices.SortStableFunc(l.steps, func(a, b step) int { return a.at.Compare(b.at) })
	}
	slices.SortFunc(all, func(a, b Life) int { return a.steps[0].at.Compare(b.steps[0].at) })
	return all
}
