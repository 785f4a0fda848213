// Package maildir stores and reads messages in Maildirs, durably: a delivery
// that returned nil survives a power cut, one that failed left nothing in new/,
// and no name is ever replaced.
//
// A message's key is its name up to the first comma or colon. It stays the same
// for the message's life, whatever a reader appends.
package maildir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/dir"
)

// ErrBusy says that another session has the mailbox.
var ErrBusy = errors.New("mailbox is in use")

// CleanAge is the age at which a file in tmp/ is left over. A writer gives up
// long before (the SMTP engine's session limit is an hour).
const CleanAge = 36 * time.Hour

// LeftOver reports whether nobody has been at a file in tmp/ for CleanAge. It is
// the change time that counts: an mtime may be one that the message is to have.
func LeftOver(st unix.Stat_t, now time.Time) bool {
	return now.Sub(time.Unix(st.Ctim.Unix())) > CleanAge
}

// Create makes the Maildir path, and its parents where they are missing, each
// with its name synced in its parent. What is there stays.
func Create(path string) error {
	if err := makeAll(path); err != nil {
		return err
	}
	for _, sub := range []string{"tmp", "new", "cur"} {
		if err := dir.Make(filepath.Join(path, sub), 0o700); err != nil {
			return err
		}
	}
	return nil
}

func makeAll(path string) error {
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		return nil
	}
	if parent := filepath.Dir(path); parent != path {
		if err := makeAll(parent); err != nil {
			return err
		}
	}
	return dir.Make(path, 0o700)
}

// Dir is an open Maildir.
type Dir struct {
	path string
	self *dir.Dir
	tmp  *dir.Dir
	new  *dir.Dir
	cur  *dir.Dir

	index, earlier index  // of what has moved; see move.go
	links          []link // further names of files that the last List has left out
}

// Open opens the Maildir path. Where new/, cur/ or tmp/ is missing it is empty,
// and is made if that may be done here: what carries a mailbox from one place to
// another may not carry empty directories. Close it.
func Open(path string) (*Dir, error) { return openDir(path, true) }

// Look is Open for whoever only reads: nothing is made.
func Look(path string) (*Dir, error) { return openDir(path, false) }

func openDir(path string, mend bool) (*Dir, error) {
	self, err := dir.Open(path)
	if err != nil {
		return nil, err
	}
	d := &Dir{path: path, self: self}
	for _, sub := range []struct {
		to   **dir.Dir
		name string
	}{{&d.tmp, "tmp"}, {&d.new, "new"}, {&d.cur, "cur"}} {
		if *sub.to, err = self.Sub(sub.name, mend); err != nil {
			d.Close()
			return nil, err
		}
	}
	return d, nil
}

// Close closes the directories.
func (d *Dir) Close() error {
	for _, sub := range []*dir.Dir{d.self, d.tmp, d.new, d.cur} {
		if sub != nil {
			sub.Close()
		}
	}
	return nil
}

// Path returns the path that the Maildir was opened by.
func (d *Dir) Path() string { return d.path }

// New returns the directory new/, into which a queue on the same file system
// may rename a message. It stays d's.
func (d *Dir) New() *dir.Dir { return d.new }

// Lock takes the mailbox for one session and returns what gives it back. It is
// given back too when the process dies. The error is ErrBusy where another
// session has it.
func (d *Dir) Lock() (unlock func(), err error) {
	err = unix.Flock(d.self.Fd(), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, ErrBusy
	}
	if err != nil {
		return nil, &fs.PathError{Op: "flock", Path: d.path, Err: err}
	}
	return func() { unix.Flock(d.self.Fd(), unix.LOCK_UN) }, nil
}

// Sync makes the names in new/ and cur/ durable.
func (d *Dir) Sync() error { return errors.Join(d.new.Sync(), d.cur.Sync()) }

func (d *Dir) sub(name string) *dir.Dir {
	if name == "cur" {
		return d.cur
	}
	return d.new
}

// Find returns the message of this key; the error is fs.ErrNotExist where there
// is none.
func (d *Dir) Find(key string) (Message, error) { return d.find(key) }

// find looks for the key in both directories, new/ again at the end: a
// message is never moved that way.
func (d *Dir) find(key string) (Message, error) {
	for _, sub := range []string{"cur", "new", "cur"} {
		var found *Message
		err := d.sub(sub).Names(func(name string) bool {
			if m := parse(sub, name); m.Key == key {
				found = &m
			}
			return found == nil
		})
		if err != nil {
			return Message{}, err
		}
		if found != nil {
			return *found, nil
		}
	}
	return Message{}, fmt.Errorf("message %s in %s: %w", key, d.path, fs.ErrNotExist)
}

// Clean removes what is left over in tmp/: files that have not changed for
// CleanAge. now is the machine's clock, whose time the file system notes, read
// before ages is asked. Where there are any, ages says whether their age is to be
// believed (nil: it is): a clock that steps forward makes the draft of this instant
// look old.
func (d *Dir) Clean(now time.Time, ages func() bool) error { return CleanTmp(d.tmp, now, ages) }

// CleanTmp is Clean of a tmp/ directory.
func CleanTmp(tmp *dir.Dir, now time.Time, ages func() bool) error {
	var old []string
	err := tmp.Names(func(name string) bool {
		st, err := tmp.StatName(name)
		if err == nil && dir.Kind(st) == "" && LeftOver(st, now) {
			old = append(old, name)
		}
		return true
	})
	if len(old) > 0 && ages != nil && !ages() {
		return err
	}
	for _, name := range old {
		if gone := tmp.Remove(name); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	return err
}
