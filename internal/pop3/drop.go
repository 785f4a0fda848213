package pop3

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"os"

	"paperpath/internal/maillog"
	"paperpath/maildir"
)

// errGone is a message that another program removed during the session.
var errGone = errors.New("message is gone: another program moved or deleted it")

// errNoFolder is a login for a folder that does not exist.
var errNoFolder = errors.New("no such folder")

// message is one message of the snapshot.
type message struct {
	*maildir.Message
	id      string // for UIDL
	size    int64  // octets as RETR sends them, -1 until measured
	deleted bool   // by DELE
	gone    bool   // its size could not be found: it counts as deleted
	sent    bool   // by RETR
}

// drop is the maildrop of RFC 1939: a mailbox, locked, with the list of its
// messages as it was at login.
type drop struct {
	account    Account
	log        *maillog.Log
	dir        *maildir.Dir // nil for a mailbox that does not exist yet
	unlock     func()
	messages   []message
	unwritable bool // files cannot be renamed: a read-only disk

	retrieved, removed int
	octets             int64
}

// openDrop locks the mailbox for this session and lists it. The error is
// maildir.ErrBusy if another session has it, and errNoFolder if there is no such
// folder. A read-only session needs no lock, so it can run beside any other.
func openDrop(account Account, log *maillog.Log) (*drop, error) {
	d := &drop{account: account, log: log, unlock: func() {}}
	if _, err := os.Lstat(account.path()); errors.Is(err, fs.ErrNotExist) {
		if account.Folder != "" {
			return nil, errNoFolder
		}
		return d, nil // nothing has been delivered yet
	}
	open := maildir.Open
	if account.ReadOnly {
		open = maildir.OpenReadOnly
	}
	var err error
	if d.dir, err = open(account.path()); err != nil {
		return nil, err
	}
	if !account.ReadOnly {
		if d.unlock, err = d.dir.Lock(); err != nil {
			d.dir.Close()
			return nil, err
		}
	}
	if err := d.scan(); err != nil {
		d.release()
		return nil, err
	}
	return d, nil
}

// scan takes the snapshot by reading the directories once. It opens no message: a
// size in a file's name is trusted, if it can be true. Files that share a key are
// told apart first, since a unique id is for life.
func (d *drop) scan() error {
	list, err := d.dir.List()
	if err != nil {
		return err
	}
	list, duplicates, err := d.dir.SettleDuplicates(list, !d.account.ReadOnly)
	d.noteUnwritable(err)
	for _, t := range duplicates {
		d.logDuplicate(t)
	}
	d.messages = make([]message, len(list))
	for i := range list {
		m := &list[i]
		d.messages[i] = message{Message: m, id: uid(cmp.Or(m.NewKey, m.Key)), size: sizeInName(m)}
	}
	return nil
}

// sizeInName is the size on the wire that a file's name gives, -1 if it gives none
// that can be true: W= without S= cannot be checked, and no message has 0 octets.
func sizeInName(m *maildir.Message) int64 {
	if m.Size <= 0 {
		return -1
	}
	return m.WireSize
}

// logDuplicate logs what became of a file with the key of another one.
func (d *drop) logDuplicate(t maildir.Duplicate) {
	switch {
	case d.account.ReadOnly, t.NotRemoved:
	case t.Identical:
		d.log.Repeated(t.Key, d.account.path())
	default:
		d.log.Rekeyed(t.Key, t.NewKey, d.account.path())
	}
}

// release unlocks and closes the mailbox. It may be called twice, and on nil.
func (d *drop) release() {
	if d == nil || d.dir == nil {
		return
	}
	d.unlock()
	d.dir.Close()
	d.dir = nil
}

// number returns message number n, counted from 1.
func (d *drop) number(n int) (*message, int, error) {
	if n < 1 || n > len(d.messages) {
		return nil, 0, errNoMessage
	}
	m := &d.messages[n-1]
	switch {
	case m.deleted:
		return nil, 0, errDeleted
	case m.gone:
		return nil, 0, errGone
	}
	return m, n, nil
}

// each calls f for every message that is not deleted.
func (d *drop) each(f func(n int, m *message) error) error {
	for i := range d.messages {
		m := &d.messages[i]
		if m.deleted || m.gone {
			continue
		}
		if err := f(i+1, m); err != nil {
			return err
		}
	}
	return nil
}

// count returns how many messages are not deleted, and how many octets they have.
func (d *drop) count() (n int, octets int64) {
	d.each(func(_ int, m *message) error {
		if d.ensureSize(m) {
			n, octets = n+1, octets+m.size
		}
		return nil
	})
	return n, octets
}

// ensureSize finds the size of a message whose name does not give it, by reading it
// once. It returns false for a message that cannot be read: from then on that counts
// as deleted.
func (d *drop) ensureSize(m *message) bool {
	if m.size >= 0 {
		return true
	}
	f, err := d.open(m)
	if err == nil {
		err = d.measure(m, f)
		f.Close()
	}
	if err != nil {
		m.size, m.gone = -1, true
		if !errors.Is(err, errGone) {
			d.log.Trouble(m.Key, "measure", err)
		}
	}
	return err == nil
}

// measure reads a message to find its size, and adds the sizes to the file's name, so
// that no session has to do it again.
func (d *drop) measure(m *message, f *os.File) (err error) {
	buf := chunks.Get().(*[chunkSize]byte)
	defer chunks.Put(buf)
	if m.size, err = measure(f, buf[:]); err != nil {
		return err
	}
	if d.mayRename() && (m.Size < 0 || m.Size == m.Actual) && endsLine(f, m.Actual) && !d.dir.HasIMAPIndex() {
		d.noteUnwritable(d.dir.AddSizes(m.Message, m.Actual, m.size))
	}
	return nil
}

// endsLine reports whether a file ends with a line end. If not, we send two octets
// more than other programs mean by W=.
func endsLine(f *os.File, size int64) bool {
	last := []byte{'\n'}
	if size > 0 {
		f.ReadAt(last, size-1)
	}
	return last[0] == '\n'
}

// mayRename reports whether the session may rename files. On a read-only disk that
// fails, and is not tried again for each message.
func (d *drop) mayRename() bool { return !d.account.ReadOnly && !d.unwritable }

// openToSend opens a message for RETR and makes sure that its size is known. A file
// whose size is not the one in its name was changed by another program and is
// measured again: the reply must give the size of what follows.
func (d *drop) openToSend(m *message) (*os.File, error) {
	f, err := d.open(m)
	if err != nil || m.size >= 0 && (m.Size < 0 || m.Size == m.Actual) {
		return f, err
	}
	if err = d.measure(m, f); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// open opens a message. The error is errGone if it is no longer there.
func (d *drop) open(m *message) (*os.File, error) {
	f, err := d.dir.Open(m.Message)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errGone
	}
	return f, err
}
