package control

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"paperpath/internal/cdb"
)

const (
	storedFrom    = 10000    // rows; a table with more has a database
	storedBytes   = 64 << 10 // a file with as many rows is not smaller
	storedVersion = 1        // of the records, and of what the keys of rows are
)

// storing says how a file becomes a database, and a database the value of the file.
type storing[T any] struct {
	// write writes the rows in lines, which it reads twice.
	write func(lines iter.Seq2[string, bool], to *rowWriter) error
	// open returns the value that looks its rows up in db.
	open func(db *database) (T, error)
}

// database is what a table's file said in one state: the rows as they were written, by key.
// The file stays the truth. A row is parsed when it is asked for, so that everything else is as
// if it had been read from the file just then.
type database struct {
	*cdb.Reader
	storedMeta
	control *Control
}

// storedMeta is what a database says of the whole table.
type storedMeta struct {
	Version int
	Table   string
	Of      storedStamp // the state of the file

	Rows    int         // that are not broken
	First   storedRow   // of them
	Broken  []storedBad // as contents has them
	Hiding  []storedBad
	Before  int
	Torn    bool
	Check   []string // of users: the program that checks passwords
	Schemes []string
	Scram   []storedCost
}

// storedStamp is a stamp.
type storedStamp struct {
	Dev, Ino           uint64
	Size, Mtime, Ctime int64
}

func storedStampOf(s stamp) storedStamp { return storedStamp{s.dev, s.ino, s.size, s.mtime, s.ctime} }

// storedRow is a row as it is written in the file.
type storedRow struct {
	Line int
	Text string
}

// storedBad is a brokenRow.
type storedBad struct {
	Fault
	ID    string
	Hides bool
}

type storedCost struct{ Iterations, Salt, Rows int }

func (b storedBad) row() brokenRow { return brokenRow{b.Fault, b.ID, b.Hides} }

// faultsKey is where a database has all faults of the table. No row has such a key.
const faultsKey = "\nfaults"

// A value in a database begins with one of these.
const (
	goodRow = 'r' // the line, then the text
	badRow  = 'b' // a storedBad
)

// rowWriter writes a database.
type rowWriter struct {
	*cdb.Writer
	meta storedMeta
	err  error // the first
}

// row adds a row under each of its keys.
func (w *rowWriter) row(l rawRow, keys []string) {
	value := binary.AppendUvarint([]byte{goodRow}, uint64(l.n))
	value = append(value, l.text...)
	for i, key := range keys {
		if w.err == nil && !slices.Contains(keys[:i], key) {
			w.err = w.Add(key, value)
		}
	}
	if w.meta.Rows++; w.meta.Rows == 1 {
		w.meta.First = storedRow{l.n, l.text}
	}
}

// bad adds a broken row whose name can be read.
func (w *rowWriter) bad(key string, b brokenRow) {
	value, err := json.Marshal(storedBad{b.Fault, b.id, b.hides})
	if err == nil {
		err = w.Add(key, append([]byte{badRow}, value...))
	}
	if w.err == nil {
		w.err = err
	}
}

// table adds what contents knows of the whole table.
func (w *rowWriter) table(faults []Fault, broken, hiding []brokenRow, before int) error {
	bads := func(rows []brokenRow) (list []storedBad) {
		for _, b := range rows {
			list = append(list, storedBad{b.Fault, b.id, b.hides})
		}
		return list
	}
	w.meta.Broken, w.meta.Hiding, w.meta.Before = bads(broken), bads(hiding), before
	for _, f := range faults {
		value, err := json.Marshal(f)
		if err == nil {
			err = w.Add(faultsKey, value)
		}
		if w.err == nil {
			w.err = err
		}
	}
	return w.err
}

// finish ends the database.
func (w *rowWriter) finish(of stamp, table string) error {
	w.meta.Version, w.meta.Table, w.meta.Of = storedVersion, table, storedStampOf(of)
	meta, err := json.Marshal(w.meta)
	if err == nil {
		err = w.err
	}
	if err != nil {
		return err
	}
	return w.Finish(meta)
}

// allFaults returns all faults of the table.
func (d *database) allFaults() (faults []Fault, err error) {
	values, err := d.Get(faultsKey)
	for _, v := range values {
		var f Fault
		if err := json.Unmarshal(v, &f); err != nil {
			return nil, d.damaged(err)
		}
		faults = append(faults, f)
	}
	return faults, d.damaged(err)
}

// damaged notes that the database cannot be used any more: the next question makes it anew.
func (d *database) damaged(err error) error {
	if err == nil {
		return nil
	}
	if !errors.Is(err, cdb.ErrBroken) {
		err = fmt.Errorf("%w: %w", cdb.ErrBroken, err)
	}
	c := d.control
	c.mu.Lock()
	if got, ok := c.cache[d.Table]; ok && got.stamp.present && storedStampOf(got.stamp) == d.Of {
		delete(c.cache, d.Table)
		delete(c.looks.files, d.Table)
		c.spoilt[d.Table] = d.Of
	}
	c.mu.Unlock()
	c.tell(d.Table, fmt.Errorf("%s: %w (it is made anew)", c.databaseName(d.Table), err))
	return failFile(d.Table, "its database: %w", err)
}

// stored is the source of the rows in a database.
type stored[R any] struct {
	table table[R]
	db    *database
}

// storing says how the table becomes a database.
func (t table[R]) storing(c *Control) storing[contents[R]] {
	return storing[contents[R]]{
		write: func(lines iter.Seq2[string, bool], to *rowWriter) error {
			_, err := t.readTo(c, lines, to)
			return err
		},
		open: func(db *database) (contents[R], error) { return t.opened(db), nil },
	}
}

// opened returns contents that look rows up in a database.
func (t table[R]) opened(db *database) contents[R] {
	k := contents[R]{source: stored[R]{t, db}, before: db.Before, db: db}
	for _, b := range db.Broken {
		k.broken = append(k.broken, b.row())
	}
	for _, b := range db.Hiding {
		k.hiding = append(k.hiding, b.row())
	}
	return k
}

func (s stored[R]) asked() bool                  { return false }
func (s stored[R]) fresh(key string) (*R, error) { return s.row(key) }

func (s stored[R]) row(key string) (*R, error) {
	values, err := s.db.Get(key)
	if err != nil {
		return nil, s.db.damaged(err)
	}
	var row *R
	var bad *brokenRow
	for _, v := range values {
		entries, b, err := s.entries(v)
		if err != nil {
			return nil, err
		}
		if b != nil {
			bad = b
		}
		for _, e := range entries {
			switch {
			case e.key != key:
			case row != nil && s.table.merge != nil:
				*row = s.table.merge(*row, e.row)
			default:
				row = &e.row
			}
		}
	}
	if bad != nil {
		return nil, rowError{*bad}
	}
	return row, nil
}

// entries parses a value: a row, or a broken one.
func (s stored[R]) entries(value []byte) ([]entry[R], *brokenRow, error) {
	if len(value) > 0 && value[0] == badRow {
		var b storedBad
		if err := json.Unmarshal(value[1:], &b); err != nil {
			return nil, nil, s.db.damaged(err)
		}
		row := b.row()
		return nil, &row, nil
	}
	if len(value) == 0 || value[0] != goodRow {
		return nil, nil, s.db.damaged(errors.New("a record is no row"))
	}
	line, n := binary.Uvarint(value[1:])
	if n <= 0 {
		return nil, nil, s.db.damaged(errors.New("a row has no line"))
	}
	entries, err := s.parsed(storedRow{int(line), string(value[1+n:])})
	return entries, nil, err
}

func (s stored[R]) parsed(r storedRow) ([]entry[R], error) {
	entries, err := s.table.parse(where(s.table.name, r.Line), r.Text)
	if err != nil { // it could be parsed when the database was made
		return nil, s.db.damaged(err)
	}
	return entries, nil
}

func (s stored[R]) first() *R {
	if s.db.Rows == 0 {
		return nil
	}
	entries, err := s.parsed(s.db.First)
	if err != nil || len(entries) == 0 {
		return nil
	}
	return &entries[0].row
}

// maxTries is how many records some looks at for one that is a row.
const maxTries = 100

func (s stored[R]) some(n uint32) *R {
	if s.db.Rows == 0 {
		return nil
	}
	for i := range uint64(maxTries) {
		key, value, ok, err := s.db.Any(uint64(n) + i)
		if err != nil || !ok {
			s.db.damaged(err)
			return nil
		}
		if strings.HasPrefix(key, "\n") {
			continue
		}
		if entries, b, err := s.entries(value); b == nil && err == nil && len(entries) > 0 {
			return &entries[0].row
		}
	}
	return s.first()
}

func (s stored[R]) list() (rows []R) {
	s.each(func(_ string, r R) { rows = append(rows, r) })
	return rows
}

// each calls do for each row with its key, in the order of the file.
func (s stored[R]) each(do func(key string, row R)) {
	at := map[string]bool{} // of a table whose rows are merged
	err := s.db.Each(func(key string, value []byte) bool {
		if strings.HasPrefix(key, "\n") || value[0] != goodRow {
			return true
		}
		if s.table.merge != nil {
			if at[key] {
				return true
			}
			at[key] = true
			if row, err := s.row(key); row != nil && err == nil {
				do(key, *row)
			}
			return true
		}
		entries, _, err := s.entries(value)
		for _, e := range entries {
			if e.key == key {
				do(key, e.row)
			}
		}
		return err == nil
	})
	s.db.damaged(err)
}
