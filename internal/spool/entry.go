package spool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/dir"
	"paperpath/internal/message"
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
	wireSize int64     // octets with CRLF line ends
	Attempts int       // deferrals in this inbox so far
	Tried    time.Time // the last one; zero where that is not known
	Last     string    // its line in the reason, for people

	at        spot
	atEnd     []func() // of the attempt
	head      *head
	reasons   reasons
	file      *dir.File
	opened    unix.Stat_t // as it was then
	rest      []byte      // the file from our result fields on; nil: it is not kept
	duplicate bool        // it has a second link, perhaps in its mailbox
	unsynced  bool        // all recipients are marked, which is not synced
}

// Trusted reports whether an authenticated or a local submitter sent it
// (RFC 3848: a protocol name that ends in A).
func (e *Entry) Trusted() bool {
	return e.With == WithLocal || e.FromSMTP() && strings.HasSuffix(e.With, "A")
}

// FromSMTP reports whether the entry came by SMTP or LMTP, where recipients are
// looked up before they are accepted.
func (e *Entry) FromSMTP() bool {
	return strings.Contains(e.With, "SMTP") || strings.Contains(e.With, "LMTP")
}

// Asked returns when a person asked for an attempt now: the entry is in new/ although
// it was deferred, and the rename that moved it there was the last change of the
// file. It is zero where nobody asked. The time is the machine's.
func (e *Entry) Asked() (time.Time, error) {
	if e.at.state != stateNew || e.Attempts == 0 {
		return time.Time{}, nil
	}
	st, err := e.file.Stat()
	if err != nil {
		return time.Time{}, err
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

// WithResults returns what LMTP hosts and programs get: Content, and our result fields in
// front of it.
func (e *Entry) WithResults() *io.SectionReader {
	return io.NewSectionReader(e.file, e.head.results, e.Size-e.head.results)
}

// Results returns our result fields: between the envelope and our Received. They are read
// nowhere else.
func (e *Entry) Results() *io.SectionReader {
	return io.NewSectionReader(e.file, e.head.results, e.head.received-e.head.results)
}

// Message returns the message as it came, below our fields.
func (e *Entry) Message() *io.SectionReader {
	return io.NewSectionReader(e.file, e.head.end, e.Size-e.head.end)
}

// Mark notes that recipients are done: one byte each in place, so that name and size
// stay and the marks go wherever the entry is moved, and one sync for all of them. Where
// these were the last, the entry is about to go: its removal is what is synced then
// (drop), and the marks are only for a crash in between. If it stays after all, close
// syncs them.
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
	last := !slices.ContainsFunc(e.Pending(), func(i int) bool { return !slices.Contains(marked, i) })
	if e.unsynced = last; !last {
		if err := e.syncMarks(); err != nil {
			return err
		}
	}
	for _, i := range marked {
		e.Envelope.To[i].Done = true
	}
	return nil
}

func (e *Entry) syncMarks() error {
	if err := unix.Fdatasync(e.file.Fd()); err != nil {
		return &fs.PathError{Op: "fdatasync", Path: e.file.Name(), Err: err}
	}
	e.unsynced = false
	return nil
}

// derived reports whether the entry's key names a decision rather than an
// acceptance, so that the same key may have been published before a crash.
func (e *Entry) derived() bool { return e.Key.isChild() || e.With == WithBounce }

// close ends an attempt. Marks that are not synced by now are those of an entry that
// has stayed.
func (e *Entry) close() error {
	var err error
	if e.unsynced {
		err = e.syncMarks()
	}
	e.file.Close()
	for _, f := range e.atEnd {
		f()
	}
	return err
}

// AtEnd has f called at the end of the attempt, when the outcome has been carried out.
func (e *Entry) AtEnd(f func()) { e.atEnd = append(e.atEnd, f) }

// Why no stage can work on a file in an inbox; errForeign and errDuplicate are two more
// reasons.
var (
	errGone    = errors.New("gone")             // moved or removed in the meantime
	errTorn    = errors.New("shorter than S=")  // perhaps being copied in
	errNotOurs = errors.New("not ours to move") // not a regular file of our own
)

// arrival is the earlier of the acceptance and the file's mtime: marks and copies
// change the mtime and must not make an entry young, and a key that was made while
// the clock was ahead must not keep an entry from growing old. The key says when
// the entry was accepted, except in a report of ours: its key has the time of the
// entry that it reports about, so there the date of its own Received counts.
func (e *Entry) arrival(mtime time.Time) time.Time {
	accepted := e.Key.Made()
	if e.With == WithBounce {
		if at, err := message.ParseDate(strings.TrimSpace(e.head.date)); err == nil {
			accepted = at
		}
	}
	if accepted.Before(mtime) {
		return accepted
	}
	return mtime
}

// soon is how much younger than its message the file in a mailbox may look to mail readers.
const soon = 5 * time.Second

// arrivesBy reports whether a child that is written now has the arrival of e by its key alone,
// and the file looks as old, too.
func (e *Entry) arrivesBy(now time.Time) bool {
	return e.With != WithBounce && e.Arrival.Equal(e.Key.Made()) && !now.Before(e.Arrival) && now.Sub(e.Arrival) < soon
}

// keepRest keeps what all children of e have in common, if it is short: to copy it for each
// with a call of its own costs more.
func (e *Entry) keepRest() {
	n := e.Size - e.head.results
	if n > maxRest {
		return
	}
	rest := make([]byte, n)
	if _, err := e.file.ReadAt(rest, e.head.results); err == nil {
		e.rest = rest
	}
}

// maxRest is the size of such a text, in octets.
const maxRest = 64 << 10

// newEntry is the entry at p in an open file, which it closes where it fails.
func newEntry(p spot, n fileName, f *dir.File, st unix.Stat_t) (*Entry, error) {
	e := &Entry{Key: n.key, Inbox: p.inbox.name, Size: n.size, wireSize: n.wire, at: p, file: f, opened: st}
	if err := e.read(st); err != nil {
		f.Close()
		return nil, err
	}
	return e, nil
}

// untouched reports whether the entry is where it was opened, and nobody has touched it
// since: no link, mode, owner or octet of it.
func (e *Entry) untouched() bool {
	st, err := e.at.stat()
	st.Atim = e.opened.Atim // reading is no touch
	return err == nil && st == e.opened
}

// fileName is the name of the file in new/.
func (e *Entry) fileName() fileName { return fileName{e.Key, e.Size, e.wireSize} }

// read checks the file against its name and reads the fields that are ours.
func (e *Entry) read(st unix.Stat_t) (err error) {
	if err := e.measure(st); err != nil {
		return err
	}
	h, err := readHead(io.NewSectionReader(e.file, 0, e.Size))
	if err != nil {
		return err
	}
	if err := e.identify(h, st); err != nil {
		return err
	}
	e.Client = clientIn(h.from)
	e.reasons, err = e.at.inbox.readReason(e.Key)
	e.Attempts, e.Last = e.reasons.lines, lineText(e.reasons.last)
	e.Tried = reasonTime(e.Last)
	if errors.Is(err, dir.ErrNotRegular) {
		return fmt.Errorf("%w: its reason: %w", errNotOurs, err)
	}
	return err
}

// measure compares the file's size with its name.
func (e *Entry) measure(st unix.Stat_t) error {
	if st.Size < e.Size {
		return errTorn
	}
	if st.Size > e.Size {
		return fmt.Errorf("%w: %d octets, not S=%d", errForeign, st.Size, e.Size)
	}
	return nil
}

// identify takes what the fields say, if they are those of this entry.
func (e *Entry) identify(h *head, st unix.Stat_t) error {
	if h.id != e.Key && h.id != e.Key.Root() {
		return fmt.Errorf("%w: its id is %s", errForeign, h.id)
	}
	e.head, e.Envelope, e.With, e.Relay = h, h.env, h.with, h.relay
	e.Arrival = e.arrival(time.Unix(st.Mtim.Unix()))
	return nil
}
