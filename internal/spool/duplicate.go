package spool

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/dir"
	"paperpath/maildir"
)

// A power cut may leave an entry under two names: btrfs makes a new name
// durable with its directory and forgets that the old one went. Such a file has
// two hard links, one where it was and one where it went: a duplicate, of which
// one name is removed.

// errDuplicate is errNotOurs for a file with a second link, which may be ours too.
var errDuplicate = fmt.Errorf("%w: two hard links", errNotOurs)

// errRecheck asks for another look at a duplicate soon.
var errRecheck = errors.New("it has two names")

// duplicateAge is how long both names must have been there. On a file system
// without RENAME_NOREPLACE a rename has two names for an instant.
const duplicateAge = 2 * time.Second

// openDuplicate opens an entry that has two names. Where the other one is in an
// inbox, one of them is removed: that of the inbox which is earlier on the paper
// path, by its own runner alone, so that never both go. An entry in deliver/ whose
// other name is in no inbox is opened as a duplicate: perhaps it is in its mailbox.
func (r *Runner) openDuplicate(j job) (*Entry, error) {
	st, err := j.at.stat()
	if err != nil {
		return nil, err
	}
	st.Nlink = 1
	if err := r.inbox.ours(st); err != nil {
		return nil, err
	}
	if drafted, err := r.removeDraft(j, st); drafted || err != nil {
		if err != nil {
			return nil, err
		}
		return j.at.open()
	}
	dup, err := r.Spool.duplicate(j.at, st)
	if err != nil {
		return nil, err
	}
	switch {
	case dup == nil && r.Inbox == InboxDeliver:
		return j.at.openDuplicate()
	case dup == nil:
		return nil, errDuplicate
	case r.Spool.isYoung(st):
		return nil, errRecheck
	case dup.earlier(j.at):
		if dup.inbox.name != r.Inbox && dup.inbox.name != InboxHold { // left to its own runner
			return nil, errRecheck
		}
		return r.keepOne(j, *dup, j.at)
	}
	return r.keepOne(j, j.at, *dup)
}

// keepOne removes one name of an entry and opens the other, where that is in the
// runner's inbox.
func (r *Runner) keepOne(j job, goes, stays spot) (*Entry, error) {
	if err := goes.remove(); err != nil {
		return nil, err
	}
	r.Spool.log.Repeated(string(j.key), stays.path())
	if stays.inbox.name != r.Inbox {
		return nil, errGone
	}
	return stays.open()
}

// isYoung reports whether a file has changed too lately to count as a duplicate.
func (s *Spool) isYoung(st unix.Stat_t) bool {
	return s.machine().Sub(time.Unix(st.Ctim.Unix())) < duplicateAge
}

// removeDraft removes the name of the draft that an entry was published from, and
// reports whether there was one. The publishing is over, or it crashed.
func (r *Runner) removeDraft(j job, st unix.Stat_t) (bool, error) {
	if j.key == "" {
		return false, nil
	}
	for _, in := range Inboxes() {
		b, err := r.Spool.inbox(in)
		if err != nil {
			return false, err
		}
		draft := ""
		err = b.tmp.Names(func(name string) bool {
			if strings.HasPrefix(name, string(j.key)) && isFile(b.tmp, name, st) {
				draft = name
			}
			return draft == ""
		})
		if err != nil {
			return false, err
		}
		if draft == "" {
			continue
		}
		if r.Spool.isYoung(st) {
			return false, errRecheck
		}
		if err := b.tmp.Remove(draft); err != nil {
			return false, err
		}
		r.Spool.log.Repeated(string(j.key), j.at.path())
		return true, nil
	}
	return false, nil
}

// duplicate finds the other name of the file st in an inbox; nil where it has
// none there.
func (s *Spool) duplicate(own spot, st unix.Stat_t) (*spot, error) {
	k := own.key()
	for at, err := range s.spots() {
		if err != nil {
			return nil, err
		}
		if at.holds(k) && !at.is(own) && isFile(at.dir(), at.name, st) {
			return &at, nil
		}
	}
	return nil, nil
}

// isFile reports whether a name is one of the file st.
func isFile(d *dir.Dir, name string, st unix.Stat_t) bool {
	o, err := d.StatName(name)
	return err == nil && o.Ino == st.Ino && o.Dev == st.Dev
}

// earlier reports whether p is the name that goes: the one in the inbox that
// comes first on the paper path, hold/ before all, since what it holds is decided
// again; in one inbox the name in cur/, since what is in new/ is tried once more.
func (p spot) earlier(than spot) bool {
	if p.inbox.name == than.inbox.name {
		return p.state == stateDeferred && than.state == stateNew || p.state == than.state && p.name < than.name
	}
	return p.inbox.rank() < than.inbox.rank()
}

func (b *inbox) rank() int {
	if b.name == InboxHold {
		return -1
	}
	return slices.Index(Inboxes(), b.name)
}

// deliverDuplicate carries out what was decided about an entry with a second link:
// where that link is the message in the mailbox, the entry goes. Everything else is
// refused.
func (r *Runner) deliverDuplicate(e *Entry, o Outcome) error {
	if o.Action != Deliver {
		return errDuplicate
	}
	md, err := maildir.Open(o.mailbox)
	if err != nil {
		return err
	}
	defer md.Close()
	found, _, err := e.inMailbox(md)
	if found != same && err == nil {
		found, _, err = e.inOthers(o.others)
	}
	if err != nil {
		return err
	}
	if found != same {
		return errDuplicate
	}
	if err := r.Spool.publishNotices(e, o.Notices, ""); err != nil {
		return err
	}
	return r.Spool.repeated(e, o.mailbox)
}
