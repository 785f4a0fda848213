package spool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/dir"
)

// state is where an entry stands in its inbox.
type state string

const (
	stateNew      state = "new" // NEW: never tried, or due now
	stateDeferred state = "cur" // DEFERRED: deferred, or moved there by a mail reader
)

// Entry is an entry that a stage works on. It is open for one attempt.
type Entry struct {
	Key      Key
	Inbox    Inbox
	Envelope Envelope
	With     string    // protocol it came by: ESMTPS, local, bounce, ...
	Relay    bool      // by a host that control/relayfrom or RELAYCLIENT trusted
	Client   string    // IP address of the host that it came from; "" where that is not known
	Arrival  time.Time // when it was accepted: a child is as old as its parent
	Size     int64     // octets in the file
	WireSize int64     // octets with CRLF line ends
	Attempts int       // deferrals in this inbox so far
	Tried    time.Time // the last one; zero where that is not known

	name  string // file name in its state's directory
	state state
	head  *head
	file  *os.File
	inbox *inbox

	duplicate bool // it has a second link, perhaps in its mailbox
}

// Trusted reports whether an authenticated or a local submitter sent it
// (RFC 3848: a protocol name that ends in A).
func (e *Entry) Trusted() bool {
	return e.With == WithLocal || e.FromSMTP() && strings.HasSuffix(e.With, "A")
}

// FromSMTP reports whether the entry came by SMTP or LMTP, where recipients
// were looked up before they were accepted.
func (e *Entry) FromSMTP() bool {
	return strings.Contains(e.With, "SMTP") || strings.Contains(e.With, "LMTP")
}

// Asked is when a person wanted the entry tried now: it lies in new/ although it
// was deferred, and the rename that brought it there is the last change of the
// file. Zero where nobody did. The time is the machine's.
func (e *Entry) Asked() (time.Time, error) {
	if e.state != stateNew || e.Attempts == 0 {
		return time.Time{}, nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(e.file.Fd()), &st); err != nil {
		return time.Time{}, &fs.PathError{Op: "stat", Path: e.file.Name(), Err: err}
	}
	return time.Unix(st.Ctim.Unix()), nil
}

// Pending returns the indexes of the recipients that are not done.
func (e *Entry) Pending() []int {
	var pending []int
	for i, r := range e.Envelope.To {
		if !r.Done {
			pending = append(pending, i)
		}
	}
	return pending
}

// Content returns what may leave the spool: from our Received to the end.
func (e *Entry) Content() *io.SectionReader {
	return io.NewSectionReader(e.file, e.head.received, e.Size-e.head.received)
}

// Message returns the message as it came, below our fields.
func (e *Entry) Message() *io.SectionReader {
	return io.NewSectionReader(e.file, e.head.end, e.Size-e.head.end)
}

// Mark notes durably that recipients are done: one byte each in place, so that
// name and size stay and the marks go wherever the entry is moved, and one sync
// for all of them.
func (e *Entry) Mark(done ...int) error {
	var marked []int
	for _, i := range done {
		if e.Envelope.To[i].Done {
			continue
		}
		if _, err := e.file.WriteAt([]byte("_"), e.head.marks[i]+markOffset); err != nil {
			return err
		}
		marked = append(marked, i)
	}
	if len(marked) == 0 {
		return nil
	}
	if err := unix.Fdatasync(int(e.file.Fd())); err != nil {
		return &fs.PathError{Op: "fdatasync", Path: e.file.Name(), Err: err}
	}
	for _, i := range marked {
		e.Envelope.To[i].Done = true
	}
	return nil
}

// derived reports whether the entry's key names a decision rather than an
// acceptance, so that a crash may have placed the same key before.
func (e *Entry) derived() bool { return e.Key.isChild() || e.With == WithBounce }

func (e *Entry) close() { e.file.Close() }

// Findings about a file in an inbox that is no entry to work on.
var (
	errGone    = errors.New("gone")             // moved or finished by somebody else
	errTorn    = errors.New("shorter than S=")  // perhaps being copied in
	errNotOurs = errors.New("not ours to move") // no regular file of our own
)

// open opens the entry name of the inbox b, in whichever state it is now.
func (b *inbox) open(name string, s state) (*Entry, error) {
	k, base, size, wire, err := parseName(name)
	if err != nil {
		return nil, b.foreign(name, s, err)
	}
	f, name, s, err := b.openFile(k, name, s)
	if err != nil {
		return nil, err
	}
	e := &Entry{Key: k, Inbox: b.name, Size: size, WireSize: wire, name: name, state: s, file: f, inbox: b}
	if err := e.read(base); err != nil {
		f.Close()
		return nil, err
	}
	return e, nil
}

// foreign says what a name is that no entry has. What is not ours to move is not
// opened either, under whatever name.
func (b *inbox) foreign(name string, s state, why error) error {
	st, err := b.dir(s).StatName(name)
	if err != nil {
		return err
	}
	if err := b.ours(st); err != nil {
		return fmt.Errorf("%w: %v", errNotOurs, strings.TrimPrefix(err.Error(), errNotOurs.Error()+": "))
	}
	return fmt.Errorf("%w: %v", errForeign, why)
}

// openFile opens name; one that has gone is looked for again by key, since a
// mail reader may have moved or flagged it.
func (b *inbox) openFile(k Key, name string, s state) (*os.File, string, state, error) {
	f, err := openRegular(b, name, s)
	if errors.Is(err, fs.ErrNotExist) {
		found, at, err := b.whereabouts(k, name)
		if err != nil {
			return nil, "", "", err
		}
		f, err = openRegular(b, found, at)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, "", "", errGone
		}
		return f, found, at, err
	}
	return f, name, s, err
}

func openRegular(b *inbox, name string, s state) (*os.File, error) {
	d := b.dir(s)
	st, err := d.StatName(name)
	if err != nil {
		return nil, err
	}
	if err := b.ours(st); err != nil {
		return nil, err
	}
	f, err := d.OpenFile(name, unix.O_RDWR, 0)
	if errors.Is(err, dir.ErrNotRegular) {
		err = fmt.Errorf("%w: %w", errNotOurs, err)
	}
	return f, err
}

// ours refuses what another user may have put there to make us read or
// publish a file of somebody else's.
func (b *inbox) ours(st unix.Stat_t) error {
	own, err := b.self.Stat()
	if err != nil {
		return err
	}
	sharedGroup := b.mode&0o060 != 0 && st.Gid == own.Gid
	switch {
	case dir.Kind(st) != "":
		return fmt.Errorf("%w: %w but %s", errNotOurs, dir.ErrNotRegular, dir.Kind(st))
	case st.Nlink == 2:
		return errDuplicate
	case st.Nlink != 1:
		return fmt.Errorf("%w: %d hard links", errNotOurs, st.Nlink)
	case st.Uid != own.Uid && int(st.Uid) != os.Geteuid() && !sharedGroup:
		return fmt.Errorf("%w: owner is uid %d", errNotOurs, st.Uid)
	}
	return nil
}

// whereabouts looks for the entry k that was under name. Most have only gone from
// new/ to cur/ or back; the directories are read for the others.
func (b *inbox) whereabouts(k Key, name string) (string, state, error) {
	base, _, _ := strings.Cut(name, ":")
	for _, s := range []state{stateNew, stateDeferred, stateNew} {
		try := base
		if s == stateDeferred {
			try = deferredName(base)
		}
		if _, err := b.dir(s).StatName(try); err == nil {
			return try, s, nil
		}
	}
	return b.find(k)
}

// find looks for the entry k in both states, in new/ again at the end: a retry
// by hand moves it that way.
func (b *inbox) find(k Key) (name string, s state, err error) {
	for _, s := range []state{stateNew, stateDeferred, stateNew} {
		name := ""
		err := b.dir(s).Names(func(n string) bool {
			if !strings.HasPrefix(n, string(k)) {
				return true
			}
			if found, _, _, _, err := parseName(n); err == nil && found == k {
				name = n
			}
			return name == ""
		})
		if err != nil {
			return "", "", err
		}
		if name != "" {
			return name, s, nil
		}
	}
	return "", "", errGone
}

// arrival is the earlier of the acceptance and the file's mtime: a mark, or a
// copy, sets the mtime anew and must make nothing young, and a key that was made
// while a clock was ahead must not keep an entry from growing old. The key says
// when the entry was accepted, but for a report of ours: its key has the time of
// what it reports about, so that its own Received tells.
func (e *Entry) arrival(mtime time.Time) time.Time {
	accepted := e.Key.stamp()
	if e.With == WithBounce && !e.head.date.IsZero() {
		accepted = e.head.date
	}
	if accepted.Before(mtime) {
		return accepted
	}
	return mtime
}

// read checks the file against its name and reads the fields that are ours.
func (e *Entry) read(base string) error {
	st, err := e.file.Stat()
	if err != nil {
		return err
	}
	if st.Size() < e.Size {
		return errTorn
	}
	if st.Size() > e.Size {
		return fmt.Errorf("%w: %d octets, not S=%d", errForeign, st.Size(), e.Size)
	}
	if e.head, err = readHead(io.NewSectionReader(e.file, 0, e.Size)); err != nil {
		return err
	}
	if e.head.id != e.Key && e.head.id != e.Key.root() {
		return fmt.Errorf("%w: its id is %s", errForeign, e.head.id)
	}
	e.Envelope, e.With, e.Relay, e.Client = e.head.env, e.head.with, e.head.relay, e.head.client
	e.Arrival = e.arrival(st.ModTime())
	var last string
	e.Attempts, _, last, err = e.inbox.readReason(e.Key)
	e.Tried = reasonTime(last)
	if errors.Is(err, dir.ErrNotRegular) {
		return fmt.Errorf("%w: its reason: %w", errNotOurs, err)
	}
	return err
}
