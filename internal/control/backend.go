package control

import (
	"strings"
	"sync"
	"time"
)

// backend can provide the rows of a table in place of its file: a line
// `NAME:ARGUMENT` in the file selects it. A new backend is one more file and one more
// row of backends; every lookup in every table then finds it.
type backend struct {
	name     string
	programs bool // it starts programs, which may need to gain privileges
	open     func(c *Control, table, argument string) (asker, error)
}

func backends() []backend {
	return []backend{
		{name: "exec", programs: true, open: openExec},
		{name: "once", programs: true, open: openOnce},
	}
}

// asker is an opened backend. Its methods may be called concurrently.
type asker interface {
	// ask returns the row of key as it would be written in the file, without a line
	// end. found is false if there is none; an error is temporary.
	ask(key string) (text string, found bool, err error)
	// check says, for people, why it cannot be asked.
	check() error
	// String is the backend as the file names it.
	String() string
}

// backend returns the backend that a line of a table names, with its argument. No row
// begins like that: an address has an @ before its first colon.
func (c *Control) backend(text string) (b backend, argument string, ok bool) {
	for _, b := range c.backends {
		if argument, ok := strings.CutPrefix(text, b.name+":"); ok {
			return b, argument, true
		}
	}
	return b, "", false
}

const (
	lookupFresh = 5 * time.Second // how long an answer is valid
	lookupKept  = 1000            // answers
)

// memory is a cache of the recent answers of a backend.
type memory struct {
	mu    sync.Mutex
	known map[string]answer
	last  *answer // the last row found, for any key
}

// answer is a row that was found. That a row does not exist is never cached.
type answer struct {
	key, text string
	at        time.Time
}

// memory returns the cache for a table and the line in it. The caller holds c.mu.
func (c *Control) memory(line string) *memory {
	m := c.memories[line]
	if m == nil {
		m = &memory{known: map[string]answer{}}
		c.memories[line] = m
	}
	return m
}

// recall returns an answer that is still valid.
func (m *memory) recall(key string) (a answer, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, ok = m.known[key]
	return a, ok && time.Since(a.at) < lookupFresh
}

func (m *memory) keep(a answer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.known) >= lookupKept {
		clear(m.known)
	}
	m.known[a.key] = a
}

// asked is the source of the rows that a backend has.
type asked[R any] struct {
	table  table[R]
	from   asker
	memory *memory
}

func (s asked[R]) asked() bool { return true }
func (s asked[R]) list() []R   { return nil }
func (s asked[R]) first() *R   { return nil }

func (s asked[R]) row(key string) (*R, error) {
	if a, ok := s.memory.recall(key); ok {
		return s.parsed(a)
	}
	return s.ask(key, true)
}

func (s asked[R]) fresh(key string) (*R, error) { return s.ask(key, false) }

func (s asked[R]) ask(key string, keep bool) (*R, error) {
	if !askableText(key) || !s.table.askable(key) {
		return nil, nil
	}
	text, found, err := s.from.ask(key)
	if err != nil {
		return nil, failFile(s.table.name, "%w", err)
	}
	if !found {
		return nil, nil
	}
	a := answer{key, text, time.Now()}
	r, err := s.parsed(a)
	if err != nil {
		return nil, err
	}
	if keep {
		s.memory.keep(a)
	}
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	s.memory.last = &a
	return r, nil
}

// anyName is for tables of which a backend may be asked any name.
func anyName(string) bool { return true }

// askableText reports whether a backend may see the key: not if a program could take
// it for an option, or if it could break out of a line of a protocol.
func askableText(key string) bool {
	return key != "" && key[0] != '-' && !strings.ContainsFunc(key, isControl)
}

// parsed parses the row in an answer.
func (s asked[R]) parsed(a answer) (*R, error) {
	entries, err := s.table.parse("control/"+s.table.name+":"+s.from.String(), a.text)
	switch {
	case err != nil:
		return nil, failFile(s.table.name, "%s: the answer is not a row: %v", s.from, err)
	case len(entries) == 0:
		return nil, failFile(s.table.name, "%s: the answer says nothing", s.from)
	case strings.Contains(a.text, "\n") || notText(1, a.text) != nil:
		return nil, failFile(s.table.name, "%s: the answer is not one line", s.from)
	}
	row := entries[0].row
	for i, e := range entries {
		switch {
		case e.key == a.key && i > 0 && s.table.merge != nil:
			row = s.table.merge(row, e.row)
		case e.key != a.key && (i == 0 || s.table.merge == nil), i > 0 && s.table.merge == nil:
			return nil, failFile(s.table.name, "%s: the answer is about another name", s.from)
		}
	}
	return &row, nil
}

// some returns the row that was found last, for any key.
func (s asked[R]) some(uint32) *R {
	s.memory.mu.Lock()
	last := s.memory.last
	s.memory.mu.Unlock()
	if last == nil {
		return nil
	}
	r, err := s.parsed(*last)
	if err != nil {
		return nil
	}
	return r
}
