// Package spool is the only place that knows inboxes and entry files. An entry
// is one file: the message with its envelope on top. It is written once and
// from then on only changes its directory, as spool(5) says; the names of
// states and transitions here are that page's.
package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"paperpath/internal/dir"
	"paperpath/internal/maillog"
	"paperpath/internal/status"
)

// Inbox names a stage's directory.
type Inbox string

// The inboxes.
const (
	InboxCheck   Inbox = "check"
	InboxRoute   Inbox = "route"
	InboxDeliver Inbox = "deliver"
	InboxRelay   Inbox = "relay"
	InboxHold    Inbox = "hold" // what a person must look at
)

// Inboxes returns all inboxes in the order of the paper path.
func Inboxes() []Inbox { return []Inbox{InboxCheck, InboxRoute, InboxDeliver, InboxRelay, InboxHold} }

// Mark is the file that shows that spool/ and mail/ are there. Where it is missing a
// volume is not mounted, and nothing is made.
const Mark = ".paperpath"

// Options are what a spool needs to know from its home's settings.
type Options struct {
	Now      func() time.Time // the clock; nil is the machine's
	Shifted  bool             // the clock is not the machine's: arrivals go into mtimes
	Hostname string           // for keys and Received
	Reserve  int64            // octets that accepting and copying leave free
	Inodes   int64            // inodes that they leave free
	Strict   bool             // the directory is synced for each message that is accepted, too
	Log      *maillog.Log     // of what happens to entries; nil: none
}

// Spool is the spool directory of a home.
type Spool struct {
	path    string
	now     func() time.Time
	machine func() time.Time // the clock by which file systems note changes
	shifted bool
	strict  bool
	mount   dir.Mount // that the spool is on
	device  uint64
	oneSync bool // a file there that is synced has a durable name
	host    string
	log     *maillog.Log
	space
	known    knownKeys
	removals removals

	mu   sync.Mutex
	open map[Inbox]*inbox
}

// inbox is an open inbox.
type inbox struct {
	name    Inbox
	self    *dir.Dir
	tmp     *dir.Dir
	new     *dir.Dir
	cur     *dir.Dir
	reason  *dir.Dir
	mode    uint32 // of the files in it
	device  uint64
	durable bool   // a file in it that is synced has a durable name
	uid     uint32 // whose it is
	gid     uint32
}

// Init makes the spool of home with all its inboxes. It keeps what is there already.
func Init(home string) error {
	path := filepath.Join(home, "spool")
	if err := dir.Make(path, 0o700); err != nil {
		return err
	}
	for _, in := range Inboxes() {
		for _, sub := range []string{"", "tmp", "new", "cur", "reason"} {
			if err := dir.Make(filepath.Join(path, string(in), sub), 0o700); err != nil {
				return err
			}
		}
	}
	return WriteMark(path)
}

// WriteMark puts the mark into path.
func WriteMark(path string) error {
	name := filepath.Join(path, Mark)
	if st, err := os.Lstat(name); err == nil && !st.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", name)
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o644)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return dir.Sync(path)
}

// CheckMark returns a temporary error where path, a directory of a home, has no mark. It
// tells apart a home that is not there, another directory, a home that is not finished, and
// a volume that is not mounted.
func CheckMark(path string) error {
	_, err := os.Lstat(filepath.Join(path, Mark))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return unmarked(filepath.Dir(path), path)
	}
	if err != nil {
		return status.Temp("4.3.5", "cannot look at "+path, err)
	}
	return nil
}

// unmarked is the error for the part of a home that has no mark.
func unmarked(home, part string) error {
	if exists(filepath.Join(home, Mark)) {
		return status.Temp("4.3.5", fmt.Sprintf("%s has no file %s: its volume is not mounted (mount it; "+
			"if it is no volume and nothing is missing from it, make that file)", part, Mark), nil)
	}
	if err := CheckHome(home); err != nil {
		return err
	}
	return status.Temp("4.3.5", fmt.Sprintf("%s has no file %s: mailctl init has not made the home %s, or not to the end "+
		"(run it again)", part, Mark, home), nil)
}

// CheckHome returns a temporary error where there is no home at all: no such directory, or
// another one. What cannot be looked at may be one.
func CheckHome(home string) error {
	if !exists(home) {
		return status.Temp("4.3.5", fmt.Sprintf("there is no directory %s (mailctl init makes a home; "+
			"--home or PAPERPATH_HOME names another)", home), nil)
	}
	if !exists(filepath.Join(home, "control")) && !exists(filepath.Join(home, "spool")) {
		return status.Temp("4.3.5", fmt.Sprintf("%s is not a Paperpath home: it has neither control/ nor spool/ "+
			"(--home or PAPERPATH_HOME names another; mailctl init makes one)", home), nil)
	}
	return nil
}

// IsHome reports whether mailctl init has made the home to its end, or may have. It is one too
// while a volume of it is not mounted.
func IsHome(home string) bool {
	return exists(filepath.Join(home, Mark)) || exists(filepath.Join(home, "spool", Mark))
}

// exists reports whether there is something at path, or may be.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR)
}

// Open opens the spool of home. Every error is temporary.
func Open(home string, o Options) (*Spool, error) {
	path := filepath.Join(home, "spool")
	if err := CheckMark(path); err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Spool{path: path, now: o.Now, machine: time.Now, shifted: o.Shifted, strict: o.Strict, host: o.Hostname, log: o.Log,
		space: space{reserve: o.Reserve, inodes: o.Inodes}, open: map[Inbox]*inbox{}}
	s.removals.failed = func(d *dir.Dir, err error) { s.log.Trouble("", "sync "+d.Path(), err) }
	if err := s.onMount(); err != nil {
		return nil, status.Temp("4.3.5", "cannot look at "+path, err)
	}
	if err := s.begun(); err != nil && !errors.Is(err, fs.ErrPermission) { // of a reader
		s.log.Trouble("", "look for complete files", err)
	}
	return s, nil
}

// Close closes the directories.
func (s *Spool) Close() error {
	s.removals.sync()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.open {
		b.close()
	}
	s.open = map[Inbox]*inbox{}
	return nil
}

// inbox opens an inbox on its first use.
func (s *Spool) inbox(in Inbox) (*inbox, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.open[in]; b != nil {
		return b, nil
	}
	b, err := openInbox(s.path, in, true)
	if err != nil {
		return nil, status.Temp("4.3.5", "cannot open the inbox "+string(in), err)
	}
	b.durable = s.oneSync && b.device == s.device
	s.open[in] = b
	return b, nil
}

// openInbox opens an inbox. The spool is there, as its mark shows, so a directory of
// the inbox that is missing was empty, and whatever copied the spool here left it
// out. If it cannot be made, or mend is false, the inbox can still be read.
func openInbox(spool string, in Inbox, mend bool) (*inbox, error) {
	parent, err := dir.Open(spool)
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	b := &inbox{name: in}
	if b.self, err = parent.Sub(string(in), mend); err != nil {
		return nil, err
	}
	st, err := b.self.Stat() // ErrNotExist where it cannot be made
	if err != nil {
		return nil, err
	}
	b.uid, b.gid = st.Uid, st.Gid
	for _, d := range []struct {
		to   **dir.Dir
		name string
	}{{&b.tmp, "tmp"}, {&b.new, "new"}, {&b.cur, "cur"}, {&b.reason, "reason"}} {
		if *d.to, err = b.self.Sub(d.name, mend); err != nil {
			b.close()
			return nil, err
		}
	}
	if own, err := b.new.Stat(); err == nil {
		st = own
	}
	b.device = st.Dev
	// A home of several uids has inboxes with group write; its entries too.
	b.mode = 0o600
	if st.Mode&0o020 != 0 {
		b.mode = 0o660
	}
	return b, nil
}

// shared reports whether stages of several users work in the inbox.
func (b *inbox) shared() bool { return b.mode&0o060 != 0 }

func (b *inbox) close() {
	for _, d := range []*dir.Dir{b.self, b.tmp, b.new, b.cur, b.reason} {
		if d != nil {
			d.Close()
		}
	}
}

// dir returns the directory of a state.
func (b *inbox) dir(s state) *dir.Dir {
	if s == stateDeferred {
		return b.cur
	}
	return b.new
}
