package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/dir"
	"paperpath/maildir"
)

// A power cut may leave an entry under two names: btrfs makes a new name
// durable with its directory and forgets that the old one went. Such a file has
// two hard links, one where it was and one where it went; one of them goes.

// errDuplicate is errNotOurs for a file with a second link, which may be ours too.
var errDuplicate = fmt.Errorf("%w: two hard links", errNotOurs)

// errRecheck asks for another look soon.
var errRecheck = errors.New("it has two names")

// duplicateAge is how long both names must have been there. On a file system without
// RENAME_NOREPLACE a rename has two names for an instant.
const duplicateAge = 2 * time.Second

// spot is a name in an inbox.
type spot struct {
	inbox *inbox
	name  string
	state state
}

// openDuplicate opens an entry that has two names. Where the other one is in an inbox,
// one of them is removed: that of the inbox which is earlier on the paper path,
// by its own runner alone, so that never both go. An entry in deliver/ whose
// other name is in no inbox is opened as linked: perhaps it is in its mailbox.
func (r *Runner) openDuplicate(j job) (*Entry, error) {
	st, err := r.inbox.dir(j.state).StatName(j.name)
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
		return r.inbox.open(j.name, j.state)
	}
	dup, err := r.Spool.duplicate(j, r.inbox, st)
	if err != nil {
		return nil, err
	}
	own := spot{r.inbox, j.name, j.state}
	switch {
	case dup == nil && r.Inbox == InboxDeliver:
		return r.inbox.openDuplicate(j)
	case dup == nil:
		return nil, errDuplicate
	case r.Spool.machine().Sub(time.Unix(st.Ctim.Unix())) < duplicateAge:
		return nil, errRecheck
	case dup.earlier(own):
		if dup.inbox.name != r.Inbox && dup.inbox.name != InboxHold { // its runner does it
			return nil, errRecheck
		}
		if err := dup.remove(); err != nil {
			return nil, err
		}
		r.Spool.log.Repeated(string(j.key), own.path())
		return r.inbox.open(j.name, j.state)
	}
	if err := own.remove(); err != nil {
		return nil, err
	}
	r.Spool.log.Repeated(string(j.key), dup.path())
	if dup.inbox.name == r.Inbox {
		return r.inbox.open(dup.name, dup.state)
	}
	return nil, errGone
}

// removeDraft removes the name of a draft that an entry was placed from, and reports
// whether there was one. The placing is over, or it crashed.
func (r *Runner) removeDraft(j job, st unix.Stat_t) (bool, error) {
	if j.key == "" {
		return false, nil
	}
	for _, in := range Inboxes() {
		b, err := r.Spool.inbox(in)
		if err != nil {
			return false, err
		}
		name, err := sameFile(b.tmp, st, func(name string) bool { return strings.HasPrefix(name, string(j.key)) })
		if err != nil {
			return false, err
		}
		if name == "" {
			continue
		}
		if r.Spool.machine().Sub(time.Unix(st.Ctim.Unix())) < duplicateAge {
			return false, errRecheck
		}
		if err := b.tmp.Remove(name); err != nil {
			return false, err
		}
		r.Spool.log.Repeated(string(j.key), r.inbox.dir(j.state).Join(j.name))
		return true, nil
	}
	return false, nil
}

// duplicate finds the other name of a file in an inbox; nil where it has none there.
func (s *Spool) duplicate(j job, own *inbox, st unix.Stat_t) (*spot, error) {
	for _, in := range Inboxes() {
		b, err := s.inbox(in)
		if err != nil {
			return nil, err
		}
		for _, at := range []state{stateNew, stateDeferred} {
			name, err := b.other(j, at, b.name == own.name && at == j.state, st)
			if err != nil {
				return nil, err
			}
			if name != "" {
				return &spot{b, name, at}, nil
			}
		}
	}
	return nil, nil
}

// other looks in one directory for another name of the file.
func (b *inbox) other(j job, at state, same bool, st unix.Stat_t) (string, error) {
	return sameFile(b.dir(at), st, func(name string) bool {
		k, _, _, _, err := parseName(name)
		return err == nil && k == j.key && !(same && name == j.name)
	})
}

// sameFile returns the name of the file st in d, of those that may be it.
func sameFile(d *dir.Dir, st unix.Stat_t, mayBe func(name string) bool) (string, error) {
	found := ""
	err := d.Names(func(name string) bool {
		if !mayBe(name) {
			return true
		}
		o, err := d.StatName(name)
		if err == nil && o.Ino == st.Ino && o.Dev == st.Dev {
			found = name
		}
		return found == ""
	})
	return found, err
}

// earlier reports whether n is the one that goes: the inbox that comes first
// on the paper path, hold/ before all, since what it holds is decided again;
// in one inbox the name in cur/, since what is in new/ is tried once more.
func (n spot) earlier(than spot) bool {
	if n.inbox.name == than.inbox.name {
		return n.state == stateDeferred && than.state == stateNew || n.state == than.state && n.name < than.name
	}
	return n.rank() < than.rank()
}

func (n spot) rank() int {
	if n.inbox.name == InboxHold {
		return -1
	}
	return slices.Index(Inboxes(), n.inbox.name)
}

func (n spot) path() string { return n.inbox.dir(n.state).Join(n.name) }

func (n spot) remove() error { return n.inbox.dir(n.state).Remove(n.name) }

// openDuplicate opens an entry in spite of its second link.
func (b *inbox) openDuplicate(j job) (*Entry, error) {
	k, base, size, wire, err := parseName(j.name)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", errForeign, err)
	}
	f, err := b.dir(j.state).OpenFile(j.name, unix.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	e := &Entry{Key: k, Inbox: b.name, Size: size, WireSize: wire, name: j.name, state: j.state, file: f, inbox: b, duplicate: true}
	if err := e.read(base); err != nil {
		f.Close()
		return nil, err
	}
	return e, nil
}

// deliverDuplicate carries out what was decided about an entry with a second link:
// it is done where that link is the message in the mailbox. All else is refused.
func (r *Runner) deliverDuplicate(e *Entry, o Outcome) error {
	if o.Action != Deliver {
		return errDuplicate
	}
	md, err := maildir.Open(o.Mailbox)
	if err != nil {
		return err
	}
	defer md.Close()
	m, err := md.Find(string(e.Key))
	if errors.Is(err, fs.ErrNotExist) {
		return errDuplicate
	}
	if err != nil {
		return err
	}
	if same, err := e.isFile(md, &m); err != nil || !same {
		return errors.Join(errDuplicate, err)
	}
	told := func() error { return r.Spool.publishNotices(e, o.Notices) }
	return r.Spool.repeated(e, o.Mailbox, told)
}

// isFile reports whether the message is the entry's own file.
func (e *Entry) isFile(md *maildir.Dir, m *maildir.Message) (bool, error) {
	f, err := md.Open(m)
	if err != nil {
		return false, err
	}
	defer f.Close()
	stored, err := f.Stat()
	if err != nil {
		return false, err
	}
	own, err := e.file.Stat()
	return err == nil && os.SameFile(stored, own), err
}
