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

// errLinked is errNotOurs for a file with a second link, which may be ours too.
var errLinked = fmt.Errorf("%w: two hard links", errNotOurs)

// errTwin asks for another look soon.
var errTwin = errors.New("it has two names")

// linkAge is how long both names must have been there. On a file system without
// RENAME_NOREPLACE a rename has two names for an instant.
const linkAge = 2 * time.Second

// linkedName is a name in an inbox.
type linkedName struct {
	box   *box
	name  string
	state state
}

// untwin opens an entry that has two names. Where the other one is in an inbox,
// one of them is removed: that of the inbox which is earlier on the paper path,
// by its own runner alone, so that never both go. An entry in deliver/ whose
// other name is in no inbox is opened as linked: perhaps it is in its mailbox.
func (r *Runner) untwin(j job) (*Entry, error) {
	st, err := r.box.sub(j.state).StatName(j.name)
	if err != nil {
		return nil, err
	}
	st.Nlink = 1
	if err := r.box.ours(st); err != nil {
		return nil, err
	}
	if drafted, err := r.undraft(j, st); drafted || err != nil {
		if err != nil {
			return nil, err
		}
		return r.box.open(j.name, j.state)
	}
	twin, err := r.Spool.twin(j, r.box, st)
	if err != nil {
		return nil, err
	}
	own := linkedName{r.box, j.name, j.state}
	switch {
	case twin == nil && r.Inbox == InboxDeliver:
		return r.box.openLinked(j)
	case twin == nil:
		return nil, errLinked
	case r.Spool.machine().Sub(time.Unix(st.Ctim.Unix())) < linkAge:
		return nil, errTwin
	case twin.earlier(own):
		if twin.box.name != r.Inbox && twin.box.name != InboxHold { // its runner does it
			return nil, errTwin
		}
		if err := twin.remove(); err != nil {
			return nil, err
		}
		r.Log.Repeated(string(j.key), own.path())
		return r.box.open(j.name, j.state)
	}
	if err := own.remove(); err != nil {
		return nil, err
	}
	r.Log.Repeated(string(j.key), twin.path())
	if twin.box.name == r.Inbox {
		return r.box.open(twin.name, twin.state)
	}
	return nil, errGone
}

// undraft removes the name of a draft that an entry was placed from, and reports
// whether there was one. The placing is over, or it crashed.
func (r *Runner) undraft(j job, st unix.Stat_t) (bool, error) {
	if j.key == "" {
		return false, nil
	}
	for _, in := range Inboxes() {
		b, err := r.Spool.box(in)
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
		if r.Spool.machine().Sub(time.Unix(st.Ctim.Unix())) < linkAge {
			return false, errTwin
		}
		if err := b.tmp.Remove(name); err != nil {
			return false, err
		}
		r.Log.Repeated(string(j.key), r.box.sub(j.state).Join(j.name))
		return true, nil
	}
	return false, nil
}

// twin finds the other name of a file in an inbox; nil where it has none there.
func (s *Spool) twin(j job, own *box, st unix.Stat_t) (*linkedName, error) {
	for _, in := range Inboxes() {
		b, err := s.box(in)
		if err != nil {
			return nil, err
		}
		for _, at := range []state{stateNew, stateDeferred} {
			name, err := b.other(j, at, b.name == own.name && at == j.state, st)
			if err != nil {
				return nil, err
			}
			if name != "" {
				return &linkedName{b, name, at}, nil
			}
		}
	}
	return nil, nil
}

// other looks in one directory for another name of the file.
func (b *box) other(j job, at state, same bool, st unix.Stat_t) (string, error) {
	return sameFile(b.sub(at), st, func(name string) bool {
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
func (n linkedName) earlier(than linkedName) bool {
	if n.box.name == than.box.name {
		return n.state == stateDeferred && than.state == stateNew || n.state == than.state && n.name < than.name
	}
	return n.rank() < than.rank()
}

func (n linkedName) rank() int {
	if n.box.name == InboxHold {
		return -1
	}
	return slices.Index(Inboxes(), n.box.name)
}

func (n linkedName) path() string { return n.box.sub(n.state).Join(n.name) }

func (n linkedName) remove() error { return n.box.sub(n.state).Remove(n.name) }

// openLinked opens an entry in spite of its second link.
func (b *box) openLinked(j job) (*Entry, error) {
	k, base, size, wire, err := parseName(j.name)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", errForeign, err)
	}
	f, err := b.sub(j.state).OpenFile(j.name, unix.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	e := &Entry{Key: k, Inbox: b.name, Size: size, WireSize: wire, name: j.name, state: j.state, file: f, box: b, linked: true}
	if err := e.read(base); err != nil {
		f.Close()
		return nil, err
	}
	return e, nil
}

// carryLinked carries out what was decided about an entry with a second link:
// it is done where that link is the message in the mailbox. All else is refused.
func (r *Runner) carryLinked(e *Entry, o Outcome) error {
	if o.Action != Deliver {
		return errLinked
	}
	md, err := maildir.Open(o.Mailbox)
	if err != nil {
		return err
	}
	defer md.Close()
	m, err := md.Find(string(e.Key))
	if errors.Is(err, fs.ErrNotExist) {
		return errLinked
	}
	if err != nil {
		return err
	}
	if same, err := e.isFile(md, &m); err != nil || !same {
		return errors.Join(errLinked, err)
	}
	told := func() error { return r.Spool.placeNotices(e, o.Notices, r.Log) }
	return r.Spool.repeated(e, o.Mailbox, told, r.Log)
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
