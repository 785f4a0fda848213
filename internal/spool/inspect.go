package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/dir"
)

// Finding is a file in the spool that has no place in the state table, or that a
// crash left.
type Finding struct {
	Path   string // below the spool
	What   string
	Remedy string // what a repair does; "" where a person must decide
	Aged   bool   // only its age makes it one, by the machine's clock
	fix    func() error
}

// Repair does what Remedy says. A finding without a remedy stays.
func (f Finding) Repair() error {
	if f.fix == nil {
		return nil
	}
	return f.fix()
}

// Inspect compares every file of the spool with the state table. It changes nothing
// and is safe while stages run.
func (s *Spool) Inspect() ([]Finding, error) {
	i := inspector{spool: s, now: s.ageing(), keys: map[Key]string{}}
	if err := i.top(); err != nil {
		return i.found, err
	}
	i.missing()
	for _, in := range Inboxes() {
		if err := i.inbox(in); err != nil {
			return i.found, err
		}
	}
	return i.found, nil
}

type inspector struct {
	spool *Spool
	now   time.Time // as ageing says
	found []Finding
	keys  map[Key]string // where an entry of that key is
}

func (i *inspector) add(path, what, remedy string, fix func() error) {
	i.found = append(i.found, Finding{Path: path, What: what, Remedy: remedy, fix: fix})
}

// addOld adds what a crash left in an inbox and may be removed.
func (i *inspector) addOld(b *inbox, sub, name, what string) {
	i.found = append(i.found, Finding{Path: filepath.Join(string(b.name), sub, name), What: what,
		Remedy: "remove it", Aged: true, fix: i.removal(b, sub, name)})
}

// top looks for what does not belong next to the inboxes.
func (i *inspector) top() error {
	entries, err := os.ReadDir(i.spool.path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != Mark && e.Name() != Record && !slices.Contains(Inboxes(), Inbox(e.Name())) {
			i.add(e.Name(), "neither an inbox nor the mark", "", nil)
		}
	}
	return nil
}

func (i *inspector) inbox(in Inbox) error {
	b, err := openInbox(i.spool.path, in, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // missing has reported it
	}
	if err != nil {
		return err
	}
	defer b.close()
	if err := i.subdirs(b); err != nil {
		return err
	}
	if err := i.drafts(b); err != nil {
		return err
	}
	spots, err := b.sorted()
	if err != nil {
		return err
	}
	present := map[Key]bool{}
	for _, at := range spots {
		if k := at.key(); k != "" {
			present[k] = true
		}
		i.entry(at)
	}
	return i.reasons(b, present)
}

// missing finds inboxes that lack a directory. They come first, since holding an
// entry takes hold/.
func (i *inspector) missing() {
	for _, in := range Inboxes() {
		b, err := openInbox(i.spool.path, in, false)
		if err == nil {
			err = errors.Join(b.tmp.Missing(), b.new.Missing(), b.cur.Missing(), b.reason.Missing())
			b.close()
		}
		if errors.Is(err, fs.ErrNotExist) {
			i.add(string(in), "a directory is missing: "+err.Error(), "make it", func() error {
				return Init(filepath.Dir(i.spool.path))
			})
		}
	}
}

// subdirs looks for what does not belong next to tmp/, new/, cur/ and reason/.
func (i *inspector) subdirs(b *inbox) error {
	names, err := namesIn(b.self)
	for _, name := range names {
		if !slices.Contains([]string{"tmp", "new", "cur", "reason"}, name) {
			i.add(filepath.Join(string(b.name), name), "not a part of an inbox", "", nil)
		}
	}
	return err
}

// drafts finds what a crash left in tmp/.
func (i *inspector) drafts(b *inbox) error {
	names, err := namesIn(b.tmp)
	for _, name := range names {
		path := filepath.Join(string(b.name), "tmp", name)
		st, err := b.tmp.StatName(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		case dir.Kind(st) != "":
			i.add(path, notFile(st), "", nil)
		case b.isComplete(name):
			i.complete(b, name, st)
		case dir.Abandoned(st, i.now):
			i.addOld(b, "tmp", name, "a draft that a crash left")
		}
	}
	return err
}

// complete adds a message that was synced in tmp/ and that its writer has left there.
func (i *inspector) complete(b *inbox, name string, st unix.Stat_t) {
	if !ripe(st, i.now) {
		return
	}
	i.found = append(i.found, Finding{Path: filepath.Join(string(b.name), "tmp", name), Aged: true,
		What: "a complete message that a crash left", Remedy: "make it an entry", fix: func() error {
			own, err := i.spool.inbox(b.name) // the one that was inspected is closed
			if err != nil {
				return err
			}
			return errors.Join(i.spool.promoteOne(own, name), own.new.Sync())
		}})
}

// notFile says why something other than a regular file stays.
func notFile(st unix.Stat_t) string {
	return fmt.Sprintf("%v: %v but %s", errNotOurs, dir.ErrNotRegular, dir.Kind(st))
}

// removal returns what removes a name, when the inbox is closed again.
func (i *inspector) removal(b *inbox, sub, name string) func() error {
	path := filepath.Join(i.spool.path, string(b.name), sub, name)
	return func() error {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
}

// entry opens one name as a stage would.
func (i *inspector) entry(at spot) {
	e, err := at.open()
	switch {
	case err == nil:
		e.close()
		i.twice(e.Key, at.below())
		i.heldWithoutReason(e)
	case errors.Is(err, errGone):
	case errors.Is(err, errDuplicate):
		i.add(at.below(), i.duplicate(at), "", nil)
	case errors.Is(err, errNotOurs):
		i.add(at.below(), err.Error(), "", nil)
	case errors.Is(err, errTorn) && !i.still(at):
		i.add(at.below(), "torn: "+err.Error()+", perhaps on its way in", "", nil)
	case errors.Is(err, errTorn):
		i.odd(at, "torn: "+err.Error())
	case errors.Is(err, errForeign) && at.inbox.name == InboxHold: // a person will see it there
	case errors.Is(err, errForeign):
		i.odd(at, err.Error())
	default:
		i.add(at.below(), err.Error(), "", nil)
	}
}

// odd adds a file that belongs in hold/. What is there already waits for a person.
func (i *inspector) odd(at spot, what string) {
	path := at.below()
	if at.inbox.name == InboxHold {
		i.add(path, what, "", nil)
		return
	}
	i.add(path, what, "hold it", func() error {
		own, err := i.spool.inbox(at.inbox.name) // the one that was inspected is closed
		if err != nil {
			return err
		}
		return i.spool.holdFile(spot{own, at.state, at.name}, path+" was found by spool check")
	})
}

// duplicate says what a file with two hard links is.
func (i *inspector) duplicate(at spot) string {
	file, err := at.stat()
	if err != nil {
		return errDuplicate.Error()
	}
	dup, err := i.spool.duplicate(at, file)
	switch {
	case err != nil || dup == nil && at.inbox.name != InboxDeliver:
		return errDuplicate.Error()
	case dup == nil:
		return "an entry with a second name outside the spool, perhaps in its mailbox: the next run decides"
	}
	return "an entry with two names, as a power cut may leave it, the other is " + dup.below() +
		": the next runs leave one"
}

func (i *inspector) still(at spot) bool {
	file, err := at.stat()
	return err == nil && i.now.Sub(time.Unix(file.Ctim.Unix())) > tornAge
}

// twice finds a key in two places: no crash leaves that, but a copy does.
func (i *inspector) twice(k Key, path string) {
	if first, ok := i.keys[k]; ok {
		i.add(path, "the same key as "+first, "", nil)
		return
	}
	i.keys[k] = path
}

func (i *inspector) heldWithoutReason(e *Entry) {
	if e.Inbox != InboxHold || e.reasons.lines > 0 {
		return
	}
	i.add(e.at.below(), "held without a reason", "write one", func() error {
		own, err := i.spool.inbox(InboxHold)
		if err != nil {
			return err
		}
		now := i.spool.now()
		return own.setReason(e.Key, reasonLine(now, InboxHold, verbHeld, "the reason is unknown"), now)
	})
}

// reasons finds reasons without entries.
func (i *inspector) reasons(b *inbox, present map[Key]bool) error {
	names, err := namesIn(b.reason)
	for _, name := range names {
		path := filepath.Join(string(b.name), "reason", name)
		st, err := b.reason.StatName(name)
		if err == nil && dir.Kind(st) != "" {
			i.add(path, notFile(st), "", nil)
			continue
		}
		if present[Key(name)] {
			continue
		}
		if _, err := ParseKey(name); err != nil {
			i.add(path, "not the reason of an entry: "+err.Error(), "", nil)
			continue
		}
		if err == nil && orphaned(st, i.now) {
			since := time.Unix(st.Ctim.Unix()).UTC().Format(time.RFC3339)
			i.addOld(b, "reason", name, "a reason whose entry has gone, since "+since)
		}
	}
	return err
}
