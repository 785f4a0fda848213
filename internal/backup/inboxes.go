package backup

import (
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"paperpath/internal/spool"
)

// passes bounds how often the inboxes or a mailbox are read. Two find everything unless a
// person moves entries back just then.
const passes = 20

// spool copies the inboxes. An entry moves forward along the path while they are read in
// that order, so a pass meets each; a verb of mailctl may move one backward, and a name
// that is renamed while its directory is read may not be seen there. So there is
// another pass until one finds no entry from before the start that is new to it. An entry
// that has moved on is copied again, and the former copy goes: marks may have been set.
func (w *writer) spool(started time.Time) error {
	if err := w.mkdir("spool"); err != nil {
		return err
	}
	for _, in := range spool.Inboxes() {
		for _, sub := range []string{"", "tmp", "new", "cur", "reason"} {
			if err := w.mkdir(path.Join("spool", string(in), sub)); err != nil {
				return err
			}
		}
	}
	for n := range passes {
		again := false
		for _, in := range spool.Inboxes() {
			unseen, err := w.inbox(string(in), started)
			if err != nil {
				return err
			}
			again = again || unseen
		}
		if !again && n > 0 {
			break
		}
	}
	w.counts.Entries = len(w.entries)
	return w.reasons()
}

// inbox copies what one pass finds in an inbox. It reports whether an entry older than
// the start was met for the first time, or has gone before it could be read.
func (w *writer) inbox(in string, started time.Time) (unseen bool, err error) {
	for _, sub := range []string{"new", "cur"} {
		at := path.Join("spool", in, sub)
		names, err := w.list(at)
		if err != nil && !errors.Is(err, errGone) {
			return false, err
		}
		for _, e := range names {
			key, old := keyOf(e.Name(), started)
			before := w.entries[key]
			err := w.entry(key, path.Join(at, e.Name()))
			switch {
			case errors.Is(err, errGone):
				unseen = unseen || before == nil && old
			case err != nil:
				return false, err
			default:
				unseen = unseen || before == nil && old
			}
		}
	}
	return unseen, nil
}

// keyOf returns by what an entry is known, and whether it was accepted before started. A
// file that is no entry is known by its name.
func keyOf(name string, started time.Time) (key string, old bool) {
	base, _, _ := strings.Cut(name, ":")
	base, _, _ = strings.Cut(base, ",")
	k, err := spool.ParseKey(base)
	if err != nil {
		return name, true
	}
	return base, !k.Made().After(started)
}

// entry copies one entry unless that was done and nothing has changed. The former copy
// goes when the new one is there.
func (w *writer) entry(key, at string) error {
	before := w.entries[key]
	if before != nil && before.path == at {
		st, err := w.from.Lstat(at)
		if err == nil && changed(st) == before.ctim {
			return nil
		}
	}
	const fresh = "spool/entry"
	c, err := w.file(at, fresh)
	if c == nil || err != nil {
		return err
	}
	if before != nil {
		if err := w.to.Remove(before.path); err != nil {
			return err
		}
	}
	c.path = at
	w.entries[key] = c
	return w.to.Rename(fresh, at)
}

// reasons copies the reasons of deferral of the entries, whose times are when the
// entries are due, and writes the lines of the manifest.
func (w *writer) reasons() error {
	for _, key := range slices.Sorted(maps.Keys(w.entries)) {
		c := w.entries[key]
		in := path.Dir(path.Dir(c.path))
		found, err := w.plain(path.Join(in, "reason", key))
		if err == nil && !found && in == heldIn {
			err = w.released(key, c)
		}
		if err == nil {
			err = w.record(c)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// heldIn is the inbox whose entries have a reason from before they come until after they go.
var heldIn = path.Join("spool", string(spool.InboxHold))

// released moves a held entry of the copy whose reason has gone to where a release puts it:
// a person released it after it was copied. One that is still held just lacks a reason.
func (w *writer) released(key string, c *copied) error {
	if _, err := w.from.Lstat(c.path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := spool.ParseKey(key); err != nil {
		return nil // no entry: it stays for a person to look at
	}
	name, _, _ := strings.Cut(path.Base(c.path), ":")
	at := path.Join("spool", string(spool.InboxRoute), "new", name)
	if err := w.to.Rename(c.path, at); err != nil {
		return err
	}
	c.path = at
	return nil
}
