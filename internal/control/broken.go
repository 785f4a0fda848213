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
	// hiding is how long a row that nobody can read hides what it may have said:
	// names that a lookup does not find are temporary for so long, then the row
	// counts as absent.
	hiding = 24 * time.Hour

	tellAgain = time.Hour // between two events about one row
	maxMarks  = 20        // rows of a table that are told apart
)

// brokenRow is a row that harms its name, or those that are not found.
type brokenRow struct {
	Fault
	id    string // of its text, wherever it stands in the file; it tells nothing of a password
	hides bool   // its name cannot be read, or rows behind it may be missing
}

// newBrokenRow makes the nth one of a table. Those beyond maxMarks share an id:
// a file whose every line is broken is one fault, not a million.
func newBrokenRow(f Fault, l rawRow, nth int) brokenRow {
	b := brokenRow{Fault: f, id: "more", hides: f.Key == "" || l.torn}
	if nth < maxMarks {
		sum := sha256.Sum256([]byte(l.text))
		b.id = hex.EncodeToString(sum[:4])
	}
	return b
}

// rowError is the answer of a broken row.
type rowError struct{ brokenRow }

func (e rowError) Error() string { return e.String() }

// seenRow is what is known of a broken row.
type seenRow struct {
	first time.Time // of its first event
	told  time.Time // of its last one
}

// Tell has broken rows told, each when a lookup meets it and not again for an
// hour. Without Tell nothing is written.
func (c *Control) Tell(tell func(error)) { c.tell = tell }

// meet turns the answer of a broken row into the error for a name that is
// temporary, and has it told.
func (c *Control) meet(err error) error {
	var e rowError
	if !errors.As(err, &e) {
		return err
	}
	c.met(e.brokenRow)
	return failRow(e.Fault)
}

func failRow(f Fault) error {
	text := f.What
	if f.Mend != "" {
		text += " (" + f.Mend + ")"
	}
	return broken(&placed{f.File, f.Line, rowFault{text}})
}

// rowFault is what is wrong with a row, in an error for those whom it harms.
type rowFault struct{ text string }

func (r rowFault) Error() string { return r.text }

// IsBrokenRow reports whether err is the fault of one row of a table, which Tell
// has told: whoever meets it again with each message need not.
func IsBrokenRow(err error) bool {
	var r rowFault
	return errors.As(err, &r)
}

// hidden returns a temporary error where one of the rows may be what is looked
// for, for a day from its first event.
func (c *Control) hidden(rows []brokenRow) error {
	var err error
	for _, b := range rows {
		if b.hides && c.now().Sub(c.met(b)) < hiding && err == nil {
			err = failRow(b.Fault)
		}
	}
	return err
}

// met notes that a lookup met the row and returns when that was so first.
func (c *Control) met(b brokenRow) time.Time {
	c.metMu.Lock()
	name := b.File + "-" + b.id
	s, ok := c.seen[name]
	if !ok {
		s = c.readMark(b)
	}
	due := c.tell != nil && c.now().Sub(s.told).Abs() >= tellAgain
	if due {
		s.told = c.now()
		if err := c.writeMark(b, s.first); err != nil {
			s.first = c.changed(b.File)
		}
	}
	c.seen[name] = s
	c.metMu.Unlock()
	if due {
		c.tell(failRow(b.Fault))
	}
	return s.first
}

// mark is the file that keeps when a broken row was met first, in its text, and
// when it was told last, as its mtime: a program may live for one message.
func (c *Control) mark(file, id string) string {
	return filepath.Join(c.home, "run", "broken-"+strings.ReplaceAll(file, "/", "-")+"-"+id)
}

// readMark returns what is known; a row that was never met is met now.
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
		s.told = info.ModTime()
	}
	return s
}

// writeMark makes the mark, or notes in it that the row is told now.
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
		// Whoever may write may set the time to now, the owner or not (utimensat(2)).
		now := []unix.Timespec{{Nsec: unix.UTIME_NOW}, {Nsec: unix.UTIME_NOW}}
		return unix.UtimesNanoAt(unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(int(f.Fd())), now, 0)
	}
	f.Chmod(0o660) // the programs may run as several users of one group
	_, err = fmt.Fprintf(f, "%d %s\n", first.Unix(), b.Where())
	return err
}

// changed is when the file was last changed, as far as nobody can set it: the
// first event of a row whose mark cannot be written.
func (c *Control) changed(file string) time.Time {
	s, err := stat(c.path(file))
	if err != nil {
		return c.now()
	}
	return time.Unix(0, s.ctime)
}

// forget removes the marks of rows that have been mended: should they come
// again, their day begins anew.
func (c *Control) forget(file string, rows []brokenRow) {
	if c.tell == nil {
		return
	}
	keep := map[string]bool{}
	for _, b := range rows {
		keep[c.mark(file, b.id)] = true
	}
	run, prefix := filepath.Split(c.mark(file, ""))
	names, err := os.ReadDir(run)
	if err != nil {
		return // then there are none
	}
	for _, n := range names {
		if path := run + n.Name(); strings.HasPrefix(n.Name(), prefix) && !keep[path] {
			os.Remove(path)
		}
	}
	c.metMu.Lock()
	defer c.metMu.Unlock()
	for name := range c.seen {
		if id, ok := strings.CutPrefix(name, file+"-"); ok && !keep[c.mark(file, id)] {
			delete(c.seen, name)
		}
	}
}
