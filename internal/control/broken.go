package control

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/dir"
)

const (
	// hiding is how long a row that cannot be read makes lookups that find nothing
	// fail temporarily, since it may be the row that they look for; after that the
	// row counts as absent.
	hiding = 24 * time.Hour

	reportAgain = time.Hour // between two events about a row
	maxMarks    = 20        // rows of a table that get a mark of their own
)

// brokenRow is a row that makes lookups fail: those for its key, or those that find
// nothing.
type brokenRow struct {
	Fault
	id    string // derived from its text, so it survives a move in the file; it reveals no password
	hides bool   // its key cannot be read, or rows after it may be missing
}

// newBrokenRow makes the nth broken row of a table. Those beyond maxMarks share an
// id: a file in which every line is broken has one fault, not a million.
func newBrokenRow(f Fault, l rawRow, nth int) brokenRow {
	b := brokenRow{Fault: f, id: "more", hides: f.Key == "" || l.torn}
	if nth < maxMarks {
		sum := sha256.Sum256([]byte(l.text))
		b.id = hex.EncodeToString(sum[:4])
	}
	return b
}

// rowError is the result of a lookup that met a broken row.
type rowError struct{ brokenRow }

func (e rowError) Error() string { return e.String() }

// seenRow is what is known about a broken row.
type seenRow struct {
	first    time.Time // when a lookup first met it
	reported time.Time // when it was last reported
}

// OnBrokenRow makes lookups call report for each broken row that they meet, once an
// hour in all processes of the home together. Without it nothing is recorded in run/.
func (c *Control) OnBrokenRow(report func(error)) { c.report = report }

// temporary turns a rowError into the temporary error of the lookup, and reports
// the row. Any other error is returned as it is.
func (c *Control) temporary(err error) error {
	if err == nil {
		return nil
	}
	var e rowError
	if !errors.As(err, &e) {
		return err
	}
	c.firstMet(e.brokenRow)
	return failRow(e.Fault)
}

func failRow(f Fault) error {
	text := f.What
	if f.Mend != "" {
		text += " (" + f.Mend + ")"
	}
	return broken(&fileError{f.File, f.Line, rowFault{text}})
}

// rowFault is what is wrong with a row, in the error of a lookup.
type rowFault struct{ text string }

func (r rowFault) Error() string { return r.text }

// IsBrokenRow reports whether err comes from a broken row of a table, which
// OnBrokenRow has reported: callers need not log it with each message.
func IsBrokenRow(err error) bool {
	var r rowFault
	return errors.As(err, &r)
}

// hidden returns a temporary error if one of the rows may be the one that was looked
// up, for a day from when a lookup first met it.
func (c *Control) hidden(rows []brokenRow) error {
	var err error
	for _, b := range rows {
		if b.hides && c.now().Sub(c.firstMet(b)) < hiding && err == nil {
			err = failRow(b.Fault)
		}
	}
	return err
}

// firstMet records that a lookup met the row, and returns when that first happened.
func (c *Control) firstMet(b brokenRow) time.Time {
	c.seenMu.Lock()
	name := b.File + "-" + b.id
	s, ok := c.seen[name]
	if !ok {
		s = c.readMark(b)
	}
	due := c.report != nil && c.now().Sub(s.reported).Abs() >= reportAgain
	if due {
		s.reported = c.now()
		if err := c.writeMark(b, s.first); err != nil {
			s.first = c.changed(b.File)
		}
	}
	c.seen[name] = s
	c.seenMu.Unlock()
	if due {
		c.report(failRow(b.Fault))
	}
	return s.first
}

// mark is the file that records a broken row: its text says when a lookup first met
// the row, its mtime when the row was last reported. It is a file because a process
// may live for one message only.
func (c *Control) mark(file, id string) string {
	return filepath.Join(c.home, "run", "broken-"+strings.ReplaceAll(file, "/", "-")+"-"+id)
}

// readMark returns what is known about the row; without a mark, it is met for the
// first time now.
func (c *Control) readMark(b brokenRow) seenRow {
	s := seenRow{first: c.now()}
	f, err := dir.OpenPath(c.mark(b.File, b.id), os.O_RDONLY, 0)
	if err != nil {
		return s
	}
	defer f.Close()
	text := make([]byte, 20)
	n, _ := f.Read(text)
	seconds, _, _ := strings.Cut(strings.TrimSpace(string(text[:n])), " ")
	at, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return s
	}
	if s.first = time.Unix(at, 0); s.first.After(c.now()) {
		s.first = c.now()
	}
	if info, err := f.Stat(); err == nil {
		s.reported = info.ModTime()
	}
	return s
}

// writeMark makes the mark, or records in it that the row is being reported now.
func (c *Control) writeMark(b brokenRow, first time.Time) error {
	f, err := dir.OpenPath(c.mark(b.File, b.id), os.O_WRONLY|os.O_CREATE, 0o660)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() > 0 {
		// Anyone with write permission may set the time to now (utimensat(2)).
		now := []unix.Timespec{{Nsec: unix.UTIME_NOW}, {Nsec: unix.UTIME_NOW}}
		return unix.UtimesNanoAt(unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(int(f.Fd())), now, 0)
	}
	f.Chmod(0o660) // the programs may run as several users of one group
	_, err = fmt.Fprintf(f, "%d %s\n", first.Unix(), b.Where())
	return err
}

// changed is the ctime of the file, which nobody can set: if a mark cannot be
// written, that is when the row was first met.
func (c *Control) changed(file string) time.Time {
	s, err := stat(c.path(file))
	if err != nil {
		return c.now()
	}
	return time.Unix(0, s.ctime)
}

// forget removes the marks of rows that have been corrected: if such a row comes
// back, its day starts again.
func (c *Control) forget(file string, rows []brokenRow) {
	if c.report == nil {
		return
	}
	keep := map[string]bool{}
	for _, b := range rows {
		keep[c.mark(file, b.id)] = true
	}
	run, prefix := filepath.Split(c.mark(file, ""))
	names, err := os.ReadDir(run)
	if err != nil {
		return // then there are no marks
	}
	for _, n := range names {
		if path := run + n.Name(); strings.HasPrefix(n.Name(), prefix) && !keep[path] {
			os.Remove(path)
		}
	}
	c.seenMu.Lock()
	defer c.seenMu.Unlock()
	for name := range c.seen {
		if id, ok := strings.CutPrefix(name, file+"-"); ok && !keep[c.mark(file, id)] {
			delete(c.seen, name)
		}
	}
}
