package spool

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"paperpath/internal/maillog"
)

// syncTogether is how many drafts it takes for one sync of their file system to be
// cheaper than one for each of them.
const syncTogether = 16

// CopyBytes returns how many octets splitting the entry into these children
// will write.
func (e *Entry) CopyBytes(children []Child) int64 {
	var sum int64
	for _, c := range children {
		sum += int64(len(formatEnvelope(c.envelope()))+len(c.originalField())+len(c.trace())) + c.copied(e)
	}
	return sum
}

// publishChildren writes all children and makes them durable, renames them into new/
// together, and makes the names durable before the parent may go. Nothing is written
// unless there is room for all.
func (s *Spool) publishChildren(e *Entry, children []Child) error {
	if len(children) == 0 {
		return nil
	}
	drafts, err := s.draftChildren(e, children)
	for _, d := range drafts {
		defer d.abort()
	}
	if err != nil {
		return err
	}
	touched := map[*inbox]bool{}
	for i, d := range drafts {
		if err := s.publishChild(d, e, children[i]); err != nil {
			return err
		}
		touched[d.inbox] = true
	}
	for b := range touched {
		if err := b.new.Sync(); err != nil {
			return err
		}
	}
	s.log.Together(func(log *maillog.Log) {
		for i, c := range children {
			log.Split(string(e.Key), string(drafts[i].key), string(c.Inbox), addresses(c.To))
		}
	})
	return nil
}

// draftChildren writes the drafts of all children and makes them durable. The
// caller aborts those that it returns, even with an error.
func (s *Spool) draftChildren(e *Entry, children []Child) (drafts []*draft, err error) {
	room, err := s.room(s.path, e.CopyBytes(children), int64(len(children)))
	if err != nil {
		return nil, err
	}
	defer room.release()
	together, err := s.syncer(len(children))
	if err != nil {
		return nil, err
	}
	defer together.close()
	if len(children) > 1 {
		e.keepRest()
	}
	for _, c := range children {
		d, err := s.draftChild(e, c)
		if d != nil {
			drafts = append(drafts, d)
		}
		if err == nil {
			err = together.written(d)
		}
		if err != nil {
			return drafts, err
		}
	}
	return drafts, together.sync()
}

// draftChild writes a child. It is not durable yet.
func (s *Spool) draftChild(e *Entry, c Child) (*draft, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	b, err := s.inbox(c.Inbox)
	if err != nil {
		return nil, err
	}
	d, err := b.newDraft(e.Key.child(c))
	if err != nil {
		return nil, err
	}
	return d, d.child(e, c)
}

// syncer makes drafts durable, each by itself or all together.
type syncer struct {
	fd   int // on the file system of them all; -1: each by itself
	path string
}

// syncer returns one for n drafts. A descriptor reports only failures of its file
// system since it was opened, and each of them once: so each split has its own,
// opened before anything is written.
func (s *Spool) syncer(n int) (*syncer, error) { return syncerAt(s.path, n) }

// syncerAt returns one for n files on the file system of path.
func syncerAt(path string, n int) (*syncer, error) {
	y := &syncer{fd: -1, path: path}
	if n < syncTogether || !syncsTogether(path) {
		return y, nil
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	y.fd = fd
	return y, nil
}

// syncsTogether reports whether syncfs(2) there returns an error for what could not
// be written: since Linux 5.8, on file systems that are known to do so, and on tmpfs,
// which writes nothing; overlayfs and FUSE are layers over others and may not learn
// of it.
func syncsTogether(path string) bool {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return false
	}
	switch int64(st.Type) {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.TMPFS_MAGIC:
	default:
		return false
	}
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return false
	}
	var major, minor int
	_, err := fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &major, &minor)
	return err == nil && (major > 5 || major == 5 && minor >= 8)
}

// written takes over a draft that has all its data.
func (y *syncer) written(d *draft) error {
	if y.fd < 0 {
		return d.sync()
	}
	return d.finish()
}

// sync returns nil once all are durable. A failure is final for all of them.
func (y *syncer) sync() error {
	if y.fd < 0 {
		return nil
	}
	err := unix.Syncfs(y.fd)
	for err == unix.EINTR {
		err = unix.Syncfs(y.fd)
	}
	if err != nil {
		return &fs.PathError{Op: "syncfs", Path: y.path, Err: err}
	}
	return nil
}

func (y *syncer) close() {
	if y.fd >= 0 {
		unix.Close(y.fd)
	}
}

// publishChild renames a child into new/, unless it is there or deferred already,
// from before a crash.
func (s *Spool) publishChild(d *draft, e *Entry, c Child) error {
	if c.Inbox == InboxHold {
		line := reasonLine(s.now(), e.Inbox, verbHeld, c.Reason)
		if err := d.inbox.setReason(d.key, line, s.now()); err != nil {
			return err
		}
	}
	// A child is as old as its parent: the lifetime counts from acceptance. That needs
	// no sync, since its key says the same. It is set this late because the cleaner
	// would remove a draft that looked old.
	if !e.arrivesBy(s.now()) || s.shifted {
		d.setArrival(e.Arrival)
	}
	if c.Message != nil {
		// A filter need not change it in the same way again, so the size in the name says
		// nothing about what a crash has left.
		if found, err := s.has(d.key); err != nil || found {
			return err
		}
	}
	return d.publishOnce()
}

// publishOnce publishes a draft whose key names a decision, unless that is in new/ or
// cur/ already: made before a crash.
func (d *draft) publishOnce() error {
	n := d.fileName()
	deferred := spot{d.inbox, stateDeferred, n.in(stateDeferred)}
	if found, err := deferred.published(); err != nil || found == same {
		return err
	}
	_, err := d.publish()
	if errors.Is(err, fs.ErrExist) {
		_, err = spot{d.inbox, stateNew, n.String()}.published()
	}
	return err
}
