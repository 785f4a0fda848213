package control

import (
	"bufio"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"iter"
	"os"
	"slices"
	"strings"
)

// tableText is the file of a large table, which is read line by line: it is never in memory as a
// whole.
type tableText struct {
	*os.File
	state stamp
	torn  bool  // the last line that was read has no line end
	err   error // of reading
}

// errChanged says that a table was written while its database was made.
var errChanged = errors.New("the table has changed meanwhile")

// openText opens a table that is in a state.
func openText(path string, max int64, state stamp) (*tableText, error) {
	f, err := openPlain(path)
	if err != nil {
		return nil, err
	}
	t := &tableText{File: f, state: state}
	if err = t.unchanged(); err == nil && state.size > max {
		err = errors.New("the file is too large")
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return t, nil
}

// unchanged is an error if not all of the table could be read in that state.
func (t *tableText) unchanged() error {
	info, err := t.Stat()
	switch {
	case t.err != nil:
		return fmt.Errorf("read the table: %w", t.err)
	case err != nil:
		return err
	case stampOf(info) != t.state:
		return errChanged
	}
	return nil
}

// textBuffer is how much of a table is read at once, in octets.
const textBuffer = 256 << 10

// longer reports whether the table has more than n lines.
func (t *tableText) longer(n int) bool {
	for range t.lines {
		if n--; n < 0 {
			return true
		}
	}
	return false
}

// lines yields the lines from the first, and whether they end with a line end.
func (t *tableText) lines(yield func(string, bool) bool) {
	in := bufio.NewReaderSize(io.NewSectionReader(t.File, 0, t.state.size), textBuffer)
	t.torn = false
	for {
		text, err := in.ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			t.err = err
			return
		}
		line, ended := strings.CutSuffix(text, "\n")
		if text == "" {
			return
		}
		t.torn = !ended
		if !yield(line, ended) || !ended {
			return
		}
	}
}

// repeated are keys that a table may have twice: those of an equal hash.
type repeated struct {
	seed   maphash.Seed
	hashes map[uint64]bool
}

func (r repeated) has(key string) bool { return r.hashes[maphash.String(r.seed, key)] }

// namedTwice finds the keys that more than one row has. What is kept of each of the others is
// eight octets, for as long as that takes.
func (t table[R]) namedTwice(lines iter.Seq2[string, bool]) repeated {
	twice := repeated{maphash.MakeSeed(), map[uint64]bool{}}
	var all []uint64
	for l := range eachRawRow(lines, t.joined) {
		if key := t.key(l.text); !l.blank && key != "" {
			all = append(all, maphash.String(twice.seed, key))
		}
	}
	slices.Sort(all)
	for i := 1; i < len(all); i++ {
		if all[i] == all[i-1] {
			twice.hashes[all[i]] = true
		}
	}
	return twice
}
