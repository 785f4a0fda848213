package pop3

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"paperpath/maildir"
)

// reset undoes every DELE, and what RETR noted: as in Dovecot, the messages are unread
// again.
func (d *drop) reset() {
	for i := range d.messages {
		d.messages[i].deleted, d.messages[i].sent = false, false
	}
}

// update deletes what DELE has marked: the UPDATE state (RFC 1939 6). It is no error
// if another program deleted a message first. A message that cannot be removed stops
// no other, and nothing else is ever removed. With a window, deleted messages go to
// the folder Trash, and those that have been there for longer are removed, if ages may
// be trusted.
func (d *drop) update(window time.Duration, now time.Time, ages func() bool) error {
	if d.dir == nil || d.account.ReadOnly {
		return nil
	}
	remove, done, err := d.remover(window, now, ages)
	if err != nil {
		return err
	}
	defer done()
	q := d.quota()
	var failed error
	for i := range d.messages {
		m := &d.messages[i]
		if !m.deleted {
			continue
		}
		octets := q.octetsOf(m)
		switch err := remove(m.Message); {
		case err == nil:
			d.removed++
			q.count(octets)
		case !errors.Is(err, fs.ErrNotExist):
			failed = errors.Join(failed, err)
		}
	}
	if d.removed > 0 {
		failed = errors.Join(failed, d.sync(), q.write())
	}
	return failed
}

// remover returns the function that removes a message, and one to call at the end.
func (d *drop) remover(window time.Duration, now time.Time, ages func() bool) (
	remove func(*maildir.Message) error, done func(), err error) {
	none := func() {}
	if window <= 0 || d.account.inTrash() {
		return d.dir.Remove, none, nil
	}
	trash, err := maildir.OpenTrash(d.account.Maildir, d.anyDeleted())
	if errors.Is(err, fs.ErrNotExist) {
		return d.dir.Remove, none, nil // there is none, and nothing to put into it
	}
	if err != nil {
		return nil, nil, err
	}
	remove = func(m *maildir.Message) error { return d.dir.MoveToTrash(m, trash, now) }
	return remove, func() {
		defer trash.Close()
		if d.removed > 0 {
			d.noteTrouble("sync trash", trash.Sync())
		}
		if ages != nil && !ages() {
			return
		}
		n, err := trash.Expire(now.Add(-window))
		if n > 0 {
			d.log.Expired(trash.Path(), n)
		}
		d.noteTrouble("expire trash", err)
	}, nil
}

// anyDeleted reports whether DELE marked any message.
func (d *drop) anyDeleted() bool {
	for i := range d.messages {
		if d.messages[i].deleted {
			return true
		}
	}
	return false
}

func (d *drop) noteTrouble(op string, err error) {
	if err != nil {
		d.log.Trouble("", op, err)
	}
}

// quota counts what is deleted, if another program keeps a Maildir++ quota. The trash
// is not part of one.
type quota struct {
	drop   *drop // nil: there is no quota
	octets int64
	n      int
}

func (d *drop) quota() *quota {
	if d.account.inTrash() || !d.anyDeleted() || !maildir.HasQuota(d.account.Maildir) {
		return &quota{}
	}
	return &quota{drop: d}
}

func (q *quota) octetsOf(m *message) int64 {
	if q.drop == nil {
		return 0
	}
	return q.drop.dir.QuotaSize(m.Message)
}

func (q *quota) count(octets int64) {
	if octets > 0 {
		q.octets, q.n = q.octets+octets, q.n+1
	}
}

func (q *quota) write() error {
	if q.n == 0 {
		return nil
	}
	return maildir.ReduceQuota(q.drop.account.Maildir, q.octets, q.n)
}

func (d *drop) sync() error {
	if err := d.dir.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", d.account.path(), err)
	}
	return nil
}

// abandon ends a session without QUIT: what DELE marked stays.
func (d *drop) abandon() {
	d.reset()
	d.markSeen()
	d.release()
}

// markSeen leaves the messages as an IMAP server would, for one that serves the same
// mailbox: all messages of this session go to cur/, and after QUIT those that RETR sent
// get the flag S. (A client that was cut off fetches them again.) Nothing depends on
// it: on a read-only or a full disk it does not happen. After release it does nothing.
func (d *drop) markSeen() {
	if d.dir == nil || !d.mayRename() {
		return
	}
	for i := range d.messages {
		m := &d.messages[i]
		switch {
		case m.deleted || m.gone:
			continue
		case m.sent:
			d.noteUnwritable(d.dir.MarkSeen(m.Message))
		default:
			d.noteUnwritable(d.dir.MoveToCur(m.Message))
		}
		if d.unwritable {
			return
		}
	}
}

// noteUnwritable remembers that files cannot be renamed here.
func (d *drop) noteUnwritable(err error) {
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrExist) {
		d.unwritable = true
	}
}
