package control

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"
)

// table describes one table: how the text of a row is read, wherever the rows come
// from.
type table[R any] struct {
	name     string
	required bool   // a missing file is an error
	form     string // what a row looks like, for people who have to correct one
	repeats  bool   // a key may have several rows, none of which is looked up by it
	bare     bool   // a row is its key and nothing else
	joined   bool   // a line that begins with a blank continues the one before it

	// key returns the name that a row is about, folded, or "" if it cannot be read.
	// The rest of the row may be anything.
	key func(text string) string
	// parse parses a row. Most rows have one key.
	parse func(where, text string) ([]entry[R], error)
	// merge combines two rows of a key into one; nil: a key has one row.
	merge func(old, more R) R
	// askable reports whether to ask a backend for key; nil: the table takes no backend.
	askable func(key string) bool
	// each is called with every row that is not broken; nil: nobody wants that.
	each func(row R)
	// setting handles a line that is not a row; nil: there are none.
	setting func(text string) (is bool, err error)
}

// entry is what a row says about one key.
type entry[R any] struct {
	key string
	row R
}

// source answers the lookups in one table, wherever its rows come from. Keys are
// folded. A nil row without an error means that there is none.
type source[R any] interface {
	row(key string) (*R, error)
	fresh(key string) (*R, error) // row, but never from a cached answer
	list() []R                    // all, in order; none if rows can only be looked up one by one
	first() *R                    // of list; nil: there is none
	some(n uint32) *R             // any row, the same for the same n as long as possible; nil: none is known
	asked() bool                  // a backend has the rows: the file's state says nothing about them
}

// contents is what the file of a table says.
type contents[R any] struct {
	source[R]
	broken []brokenRow // if there are many, only the first of them
	hiding []brokenRow // those of them that may hide a row that is not found
	before int         // how many of broken come before the first good row
	faults []Fault     // all that is wrong with rows
	keys   []string    // of the rows in the file, in order
	from   asker       // nil: the rows are in the file
	db     *database   // where they are looked up; it has faults and keys; nil: they are here
}

// in returns the contents; those of an absent file have no rows.
func (t contents[R]) in() contents[R] {
	if t.source == nil {
		t.source = &rowset[R]{}
	}
	return t
}

// allFaults returns what is wrong with rows.
func (t contents[R]) allFaults() ([]Fault, error) {
	if t.db != nil {
		return t.db.allFaults()
	}
	return slices.Clone(t.faults), nil
}

// eachRow calls do for each row that is not broken, in order.
func (t contents[R]) eachRow(do func(key string, row R)) {
	if s, ok := t.source.(stored[R]); ok {
		s.each(do)
		return
	}
	for i, row := range t.in().list() {
		if i < len(t.keys) {
			do(t.keys[i], row)
		}
	}
}

// backend is what has the rows; nil: the file.
func (t contents[R]) backend() asker { return t.from }

func (t contents[R]) brokenRows() []brokenRow { return t.broken }

// tabled is a value that has the contents of a table of R.
type tabled[R any] interface{ in() contents[R] }

// rowset is the source of the rows in the file. A broken row keeps its name, so that
// no lookup falls through to a less specific row.
type rowset[R any] struct {
	rows   []R
	index  map[string]int       // key to place in rows
	broken map[string]brokenRow // by key
}

func (s *rowset[R]) row(key string) (*R, error) {
	if b, ok := s.broken[key]; ok {
		return nil, rowError{b}
	}
	if i, ok := s.index[key]; ok {
		r := s.rows[i]
		return &r, nil
	}
	return nil, nil
}

func (s *rowset[R]) fresh(key string) (*R, error) { return s.row(key) }
func (s *rowset[R]) list() []R                    { return append([]R(nil), s.rows...) }
func (s *rowset[R]) first() *R                    { return s.some(0) }
func (s *rowset[R]) asked() bool                  { return false }

func (s *rowset[R]) some(n uint32) *R {
	if len(s.rows) == 0 {
		return nil
	}
	r := s.rows[int(n%uint32(len(s.rows)))]
	return &r
}

// reading is a table whose file is being read.
type reading[R any] struct {
	table[R]
	rowset[R]
	contents[R]
	seen map[string]first // by the key of the row
	good int              // rows so far
	to   *rowWriter       // where they go; nil: they are kept

	twice repeated // keys that are to be in seen, if the rows go to a database
}

// first is the first row of a key.
type first struct {
	line int
	text string
}

// file returns the file of the table.
func (t table[R]) file(c *Control) file[contents[R]] {
	f := file[contents[R]]{name: t.name, max: maxTable, required: t.required,
		parse: func(_ string, data []byte) (contents[R], error) { return t.read(c, data) }}
	if !t.repeats {
		to := t.storing(c)
		f.stored = &to
	}
	return f
}

// read makes the contents from the file's bytes. An error in a row affects that row
// alone; read itself fails only if it leaves nothing to look up.
func (t table[R]) read(c *Control, data []byte) (contents[R], error) {
	return t.readTo(c, eachLine(data), nil)
}

// readTo is read, but the rows go to a database, if to is not nil. Then lines are read twice.
func (t table[R]) readTo(c *Control, lines iter.Seq2[string, bool], to *rowWriter) (contents[R], error) {
	r := reading[R]{table: t, seen: map[string]first{}, to: to,
		rowset: rowset[R]{index: map[string]int{}, broken: map[string]brokenRow{}}}
	if to != nil {
		r.twice = t.namedTwice(lines)
	}
	for l := range eachRawRow(lines, t.joined) {
		if l.blank {
			r.comment(l)
			continue
		}
		is, err := r.special(c, l)
		if err != nil {
			return r.contents, fail(t.name, l.n, "%v", err)
		}
		if !is {
			r.add(l)
		}
	}
	if r.from != nil && r.good+len(r.contents.broken) > 0 {
		return r.contents, failFile(t.name, "%s looks up the rows, but there are rows in the file too",
			r.from)
	}
	if r.source == nil {
		r.source = &r.rowset
	}
	if to != nil {
		if r.from != nil {
			return r.contents, failFile(t.name, "a program has the rows")
		}
		return r.contents, to.table(r.faults, r.contents.broken, r.hiding, r.before)
	}
	return r.contents, nil
}

// comment records an empty line or a comment that has something wrong with it.
func (r *reading[R]) comment(l rawRow) {
	if l.torn {
		r.note(l, r.faultOf(l, errNoEnd))
		return
	}
	f := r.faultOf(l, l.wrong)
	f.Dead = true
	r.faults = append(r.faults, f)
}

// special handles a line that is not a row: a backend, or a setting of the table.
func (r *reading[R]) special(c *Control, l rawRow) (is bool, err error) {
	if r.setting != nil {
		is, err = r.setting(l.text)
	}
	b, argument, ok := c.backend(l.text)
	if !is && ok && r.askable != nil {
		is, err = true, r.ask(c, b, argument, l.text)
	}
	switch {
	case !is || err != nil:
		return is, err
	case l.wrong != nil:
		return true, l.wrong
	case l.torn:
		return true, errNoEnd
	}
	return true, nil
}

// ask opens the backend that a line names.
func (r *reading[R]) ask(c *Control, b backend, argument, line string) (err error) {
	if r.from != nil {
		return fmt.Errorf("%s: is in the file already", b.name)
	}
	if r.from, err = b.open(c, r.name, argument); err != nil {
		return err
	}
	r.from = c.noted(r.name, r.from)
	r.source = asked[R]{table: r.table, from: r.from, memory: c.memory(r.name + "\x00" + line)}
	return nil
}

// add adds a row, or notes what is wrong with it.
func (r *reading[R]) add(l rawRow) {
	if l.wrong != nil {
		r.fault(l, l.wrong)
		return
	}
	entries, err := r.parse(where(r.name, l.n), l.text)
	if err == nil && l.torn {
		err = errNoEnd
	}
	if err != nil {
		r.fault(l, err)
		return
	}
	key := r.key(l.text)
	if had, twice := r.seen[key]; twice && !r.repeats {
		if r.bare || had.text == l.text {
			r.faults = append(r.faults, deadRow(r.name, where(r.name, l.n), key, fmt.Sprintf("%q", key),
				fmt.Sprintf("line %d says the same, remove one of the two", had.line)))
			return
		}
		r.fault(l, fmt.Errorf("%q is already in line %d (remove one of the two)", key, had.line))
		return
	}
	if r.to == nil || r.twice.has(key) {
		r.seen[key] = first{l.n, l.text}
	}
	r.good++
	var keys []string
	for _, e := range entries {
		if r.each != nil {
			r.each(e.row)
		}
		if r.to == nil {
			r.put(e)
		} else {
			keys = append(keys, e.key)
		}
	}
	if r.to != nil {
		r.to.row(l, keys)
	}
}

func (r *reading[R]) put(e entry[R]) {
	if i, ok := r.index[e.key]; ok && r.merge != nil {
		r.rows[i] = r.merge(r.rows[i], e.row)
		return
	}
	r.index[e.key] = len(r.rows)
	r.keys = append(r.keys, e.key)
	r.rows = append(r.rows, e.row)
}

var errNoEnd = errors.New("the last line has no line end, so rows may be missing (end it with a newline)")

func (r *reading[R]) fault(l rawRow, err error) { r.note(l, r.faultOf(l, err)) }

// note records a broken row.
func (r *reading[R]) note(l rawRow, f Fault) {
	b := newBrokenRow(f, l, len(r.contents.broken))
	r.faults = append(r.faults, f)
	switch {
	case f.Key != "" && r.to != nil:
		r.to.bad(f.Key, b)
	case f.Key != "":
		r.rowset.broken[f.Key] = b
	}
	// All rows beyond these share an id: one of them represents the others, and the
	// first that hides something represents those that do.
	if len(r.contents.broken) <= maxMarks {
		r.contents.broken = append(r.contents.broken, b)
		if r.good == 0 {
			r.before++
		}
	}
	if n := len(r.hiding); b.hides && (n == 0 || r.hiding[n-1].id != b.id) {
		r.hiding = append(r.hiding, b)
	}
}

// faultOf says what is wrong with a row, and how to correct it: the text in
// parentheses in the error, or else what a row looks like.
func (r *reading[R]) faultOf(l rawRow, err error) Fault {
	f := Fault{File: r.name, Line: l.n, What: err.Error(), Mend: r.form}
	if before, after, ok := strings.Cut(f.What, " ("); ok && strings.HasSuffix(after, ")") {
		f.What, f.Mend = before, strings.TrimSuffix(after, ")")
	}
	if !l.blank {
		f.Key = readableKey(r.key(strings.Trim(strings.TrimSuffix(l.text, "\r"), " \t")))
	}
	return f
}

// readableKey returns key, or "" if it may not be the name that was meant.
func readableKey(key string) string {
	if !utf8.ValidString(key) || strings.Contains(key, "\ufeff") || strings.ContainsFunc(key, isControl) {
		return ""
	}
	return key
}

// find looks up the keys in turn, the most specific first, and returns the first row
// that it finds, with the index of its key. query decides when a negative answer
// counts.
func find[R any, T tabled[R]](c *Control, f file[T], keys ...string) (row *R, at int, err error) {
	row, err = query(c, f, func(t T) (*R, bool, error) {
		s := t.in()
		for i, key := range keys {
			r, err := s.row(key)
			if r != nil || err != nil {
				at = i
				return r, true, err
			}
		}
		at = len(keys)
		return nil, s.asked(), nil
	})
	return row, at, c.temporary(err)
}

// mayHave reports whether a table may say anything of anybody: where most homes have no such
// table, nothing has to be looked up. One that is just being written may.
func mayHave[R any, T tabled[R]](c *Control, f file[T]) (bool, error) {
	t, got, err := load(c, f)
	if err != nil {
		return false, err
	}
	s := t.in()
	return s.some(0) != nil || len(s.broken) > 0 || s.asked() || c.unsettled(f.name, got.stamp) > 0, nil
}

// hiddenIn returns a temporary error if a lookup that falls through to a less
// specific row of the table, or to none, may have missed a row that cannot be read.
func hiddenIn[R any, T tabled[R]](c *Control, f file[T]) error {
	t, _, err := load(c, f)
	if err != nil {
		return err
	}
	return c.hidden(t.in().hiding)
}

// firstRow returns the first row, nil if there is none, and a temporary error if a
// broken row comes before it.
func firstRow[R any, T tabled[R]](c *Control, f file[T]) (*R, error) {
	row, err := query(c, f, func(t T) (*R, bool, error) {
		s := t.in()
		for _, b := range s.broken[:s.before] {
			if b.Key != "" {
				return nil, true, rowError{b}
			}
		}
		row := s.first()
		return row, row != nil || s.asked(), nil
	})
	if err != nil {
		return nil, c.temporary(err)
	}
	t, _, err := load(c, f)
	if err != nil {
		return nil, err
	}
	return row, c.hidden(t.in().broken[:t.in().before])
}
