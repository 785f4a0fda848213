// Package maildir stores and reads messages in Maildirs, durably: a delivery
// that returned nil survives a power cut, one that failed left nothing in new/,
// and no name is ever replaced.
//
// A message's key is its name up to the first comma or colon. It stays the same
// for the message's life, whatever a reader appends.
//
// Who delivers calls Open and Begin, writes, and calls Commit. Who reads calls Open and
// List, which opens no message: names have the sizes and the flags. Every method that takes
// a Message finds it by its key if another program has moved or flagged it meanwhile, and
// corrects the Message. Other programs need not wait: no lock is taken but by Lock, which
// POP3 wants. SetFlags, Move, Remove and MoveToTrash are durable after Sync.
//
// What the file system must do for all of this, Check finds out.
package maildir

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/dir"
)

// ErrBusy says that another session holds the lock of the mailbox.
var ErrBusy = errors.New("mailbox is in use")

// Create makes the Maildir path and its missing parents, each with its name synced
// in its parent. Existing directories stay as they are.
func Create(path string) error {
	for _, sub := range []string{"", "tmp", "new", "cur"} {
		if err := makeAll(filepath.Join(path, sub)); err != nil {
			return err
		}
	}
	return dir.Sync(path)
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
	var above, st unix.Stat_t
	if err := unix.Stat(filepath.Dir(path), &above); err != nil || !dir.Shared(above) {
		return dir.Make(path, 0o700)
	}
	if err := dir.Make(path, 0o770); err != nil {
		return err
	}
	const shared = unix.S_ISGID | 0o770
	if err := unix.Lstat(path, &st); err != nil || int(st.Uid) != os.Geteuid() || st.Mode&0o7777 == shared {
		return err // another program has just made it, or all is as in the directory above
	}
	return os.Chmod(path, 0o770|fs.ModeSetgid)
}

// Dir is an open Maildir. Only one goroutine may use it at a time.
type Dir struct {
	path string
	self *dir.Dir
	tmp  *dir.Dir // nil: not opened yet
	new  *dir.Dir
	cur  *dir.Dir

	device uint64 // of new/, once it is known
	mode   uint32 // of new files, once it is known

	index, earlier index       // the last two listings; see move.go
	extraNames     []extraName // second names of files, left out by the last List
}

// Open opens the Maildir path. A missing new/, cur/ or tmp/ is made if permissions
// allow that, and counts as empty if not: tools that copy mailboxes may leave empty
// directories out. The caller must call Close.
func Open(path string) (*Dir, error) { return openDir(path, true) }

// OpenReadOnly is Open for callers that only read: it makes no directory.
func OpenReadOnly(path string) (*Dir, error) { return openDir(path, false) }

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

// Path returns the path that the Maildir was opened with.
func (d *Dir) Path() string { return d.path }

// New returns the descriptor of new/, into which a queue on the same file system may rename
// a message. Only d closes it. The error says why new/ is missing and could not be made.
func (d *Dir) New() (fd int, err error) { return d.new.Fd(), d.new.Missing() }

// Device returns the number of the file system that new/ is on.
func (d *Dir) Device() (uint64, error) {
	if d.device == 0 {
		st, err := d.new.Stat()
		if err != nil {
			return 0, err
		}
		d.device = st.Dev
	}
	return d.device, nil
}

// drafts opens tmp/, which is needed only by who writes.
func (d *Dir) drafts() (*dir.Dir, error) {
	if d.tmp == nil {
		tmp, err := d.self.Sub("tmp", true)
		if err != nil {
			return nil, err
		}
		d.tmp = tmp
	}
	return d.tmp, nil
}

// Lock locks the mailbox for one session and returns the function that unlocks it;
// the end of the process unlocks it, too. The error is ErrBusy if another session
// holds the lock.
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

// SyncNew makes the names in new/ durable.
func (d *Dir) SyncNew() error { return d.new.Sync() }

// Sync makes the names in new/ and cur/ durable.
func (d *Dir) Sync() error { return errors.Join(d.new.Sync(), d.cur.Sync()) }

// fileMode is the mode of new files: in a Maildir that is Shared its group has all rights.
func (d *Dir) fileMode() uint32 {
	if d.mode == 0 {
		d.mode = 0o600
		if st, err := d.self.Stat(); err == nil && dir.Shared(st) {
			d.mode = 0o660
		}
	}
	return d.mode
}

func (d *Dir) sub(name string) *dir.Dir {
	if name == "cur" {
		return d.cur
	}
	return d.new
}

// Find returns the message with this key; the error is fs.ErrNotExist if there is none. Messages
// move from new/ to cur/, never back. It looks into cur/ twice, unless that is empty: their names
// change there, and one may be missed that does.
func (d *Dir) Find(key string) (Message, error) {
	for i, sub := range []string{"new", "cur", "cur"} {
		var found *Message
		empty := true
		err := d.sub(sub).Scan(func(name []byte) bool {
			empty = false
			if !bytes.HasPrefix(name, []byte(key)) {
				return true
			}
			if m := parse(sub, string(name)); m.Key == key {
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
		if i > 0 && empty {
			break
		}
	}
	return Message{}, fmt.Errorf("message %s in %s: %w", key, d.path, fs.ErrNotExist)
}

// Clean removes abandoned drafts: files in tmp/ that have not changed for 36 hours.
// now is the machine's clock, which the file system's times are taken from, read
// before ages is called. ages is called only if there are such files and says whether
// their age can be believed (nil: it can): when the clock steps forward, a draft that
// was just written looks old.
func (d *Dir) Clean(now time.Time, ages func() bool) error {
	tmp, err := d.drafts()
	if err != nil {
		return err
	}
	return tmp.Clean(now, ages, nil)
}

// Clean is Dir.Clean for the Maildir path, of which nothing else is opened.
func Clean(path string, now time.Time, ages func() bool) error {
	tmp, err := dir.Open(filepath.Join(path, "tmp"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer tmp.Close()
	return tmp.Clean(now, ages, nil)
}
