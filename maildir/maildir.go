// Package maildir stores and reads messages in Maildirs, durably: a delivery
// that returned nil survives a power cut, one that failed left nothing in new/,
// and no name is ever replaced.
//
// A message's key is its name up to the first comma or colon. It stays the same
// for the message's life, whatever a reader appends.
package maildir

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/dir"
)

// ErrBusy says that another session has the mailbox.
var ErrBusy = errors.New("mailbox is in use")

// CleanAge is the age at which a file in tmp/ is left over. A writer gives up
// long before (the SMTP engine's session limit is an hour).
const CleanAge = 36 * time.Hour

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
}

// Open opens the Maildir path. Close it.
func Open(path string) (*Dir, error) {
	d := &Dir{path: path}
	for _, sub := range []struct {
		to   **dir.Dir
		name string
	}{{&d.self, ""}, {&d.tmp, "tmp"}, {&d.new, "new"}, {&d.cur, "cur"}} {
		opened, err := dir.Open(filepath.Join(path, sub.name))
		if err != nil {
			d.Close()
			return nil, err
		}
		*sub.to = opened
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

// Message is a message as its name tells it.
type Message struct {
	Key      string
	Name     string // file name
	Sub      string // "new" or "cur"
	Flags    string // letters behind ":2,"
	Size     int64  // octets in the file (S=), -1 where the name does not say
	WireSize int64  // octets with CRLF line ends (W=), -1 where the name does not say
}

func parse(sub, name string) Message {
	base, info, _ := strings.Cut(name, ":")
	key, attrs, _ := strings.Cut(base, ",")
	m := Message{Key: key, Name: name, Sub: sub, Size: -1, WireSize: -1}
	m.Flags, _ = strings.CutPrefix(info, "2,")
	for _, a := range strings.Split(attrs, ",") {
		if v, ok := strings.CutPrefix(a, "S="); ok {
			m.Size = number(v)
		} else if v, ok := strings.CutPrefix(a, "W="); ok {
			m.WireSize = number(v)
		}
	}
	return m
}

func number(s string) int64 {
	n, err := strconv.ParseUint(s, 10, 62)
	if err != nil {
		return -1
	}
	return int64(n)
}

// List returns the messages of new/ and cur/, sorted by key: regular files as
// the directory says, without a look at them. Each directory is read once, cur/
// last, so that a message which a reader moves meanwhile is listed once, as it
// was seen last.
func (d *Dir) List() ([]Message, error) {
	var all []Message
	for _, sub := range []string{"new", "cur"} {
		err := d.sub(sub).Regular(func(name string) bool {
			all = append(all, parse(sub, name))
			return true
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(all, func(a, b Message) int {
		return cmp.Or(strings.Compare(a.base(), b.base()), strings.Compare(a.Sub, b.Sub))
	})
	return slices.CompactFunc(all, func(a, b Message) bool { return a.base() == b.base() }), nil
}

// base is the name without what readers append; a move keeps it.
func (m Message) base() string {
	base, _, _ := strings.Cut(m.Name, ":")
	return base
}

func (d *Dir) sub(name string) *dir.Dir {
	if name == "cur" {
		return d.cur
	}
	return d.new
}

// Has reports whether a message of this key is in new/ or cur/.
func (d *Dir) Has(key string) (bool, error) {
	_, err := d.find(key)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
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

// again does what it is given to m, and once more by key where m has moved.
func (d *Dir) again(m *Message, do func() error) error {
	err := do()
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	found, err := d.find(m.Key)
	if err != nil {
		return err
	}
	*m = found
	return do()
}

// Open opens a message for reading; one that another program has moved or
// flagged is found again by its key. Only a regular file is a message.
func (d *Dir) Open(m *Message) (*os.File, error) {
	var f *os.File
	err := d.again(m, func() (err error) {
		f, err = d.openRegular(m)
		return err
	})
	return f, err
}

func (d *Dir) openRegular(m *Message) (*os.File, error) {
	f, err := d.sub(m.Sub).OpenFile(m.Name, unix.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: f.Name(), Err: errors.New("not a regular file")}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Regular reports whether the message is a regular file: a symbolic link, a
// fifo or a directory in new/ or cur/ is no message.
func (d *Dir) Regular(m *Message) (bool, error) {
	var st unix.Stat_t
	err := d.again(m, func() (err error) {
		st, err = d.sub(m.Sub).StatName(m.Name)
		return err
	})
	return st.Mode&unix.S_IFMT == unix.S_IFREG, err
}

// Remove deletes a message, wherever another program has moved it. The error
// is fs.ErrNotExist where it is gone. Sync makes removals durable.
func (d *Dir) Remove(m *Message) error {
	return d.again(m, func() error { return d.sub(m.Sub).Remove(m.Name) })
}

// Seen moves a message to cur/ with the flag S; one that has it stays.
func (d *Dir) Seen(m *Message) error {
	return d.again(m, func() error {
		if m.Sub == "cur" && strings.Contains(m.Flags, "S") {
			return nil
		}
		flags := []rune(m.Flags + "S")
		slices.Sort(flags)
		base, _, _ := strings.Cut(m.Name, ":")
		name := base + ":2," + string(slices.Compact(flags))
		if err := d.sub(m.Sub).Rename(m.Name, d.cur, name); err != nil {
			return err
		}
		*m = parse("cur", name)
		return nil
	})
}

// Clean removes what is left over in tmp/: files older than CleanAge.
func (d *Dir) Clean(now time.Time) error { return CleanTmp(d.tmp, now) }

// CleanTmp removes the files of a tmp/ directory that are older than CleanAge.
func CleanTmp(tmp *dir.Dir, now time.Time) error {
	var old []string
	err := tmp.Names(func(name string) bool {
		st, err := tmp.StatName(name)
		if err == nil && st.Mode&unix.S_IFMT == unix.S_IFREG && now.Sub(time.Unix(st.Mtim.Unix())) > CleanAge {
			old = append(old, name)
		}
		return true
	})
	for _, name := range old {
		if gone := tmp.Remove(name); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	return err
}
