package spool

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/dir"
)

// draft is a file in tmp/ that is to become an entry. Only publish makes it one;
// abort is safe to defer.
type draft struct {
	inbox  *inbox
	key    Key
	name   string // in tmp/, "" once it is gone from there
	final  bool   // that name is the entry's: a crash leaves a complete file, which is promoted
	f      *dir.File
	err    error // the first failure: final for this file
	size   int64
	breaks int64 // line ends
}

// draftName returns a name for tmp/ that no other draft has.
func draftName(k Key) string {
	var random [4]byte
	rand.Read(random[:]) // never fails (crypto/rand)
	return string(k) + "." + hex.EncodeToString(random[:])
}

func (b *inbox) newDraft(k Key) (*draft, error) { return b.draft(k, draftName(k)) }

// newComplete makes a draft under the name that its entry will have.
func (b *inbox) newComplete(n fileName) (*draft, error) {
	d, err := b.draft(n.key, n.String())
	if err == nil {
		d.final = true
	}
	return d, err
}

func (b *inbox) draft(k Key, name string) (*draft, error) {
	f, err := b.tmp.Create(name, b.mode)
	if err != nil {
		return nil, err
	}
	return &draft{inbox: b, key: k, name: name, f: f}, nil
}

// Write appends p and counts its line ends.
func (d *draft) Write(p []byte) (int, error) {
	if d.err != nil {
		return 0, d.err
	}
	n, err := d.f.Write(p)
	d.size += int64(n)
	d.breaks += int64(bytes.Count(p[:n], []byte("\n")))
	d.err = err
	return n, err
}

// splice appends n octets with the given number of line ends from src, inside
// the kernel where it can.
func (d *draft) splice(src *dir.File, off, n, breaks int64) error {
	if d.err != nil {
		return d.err
	}
	for left := n; left > 0; {
		c, err := unix.CopyFileRange(src.Fd(), &off, d.f.Fd(), nil, int(min(left, 1<<30)), 0)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil && left == n && cannotSplice(err):
			_, d.err = io.Copy(d.f, io.NewSectionReader(src, off, n))
			left = 0
			continue
		case err == nil && c == 0:
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			d.err = fmt.Errorf("copy %s: %w", src.Name(), err)
			return d.err
		}
		left -= int64(c)
	}
	d.size += n
	d.breaks += breaks
	return d.err
}

func cannotSplice(err error) bool {
	return errors.Is(err, unix.EXDEV) || errors.Is(err, unix.EINVAL) ||
		errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EOPNOTSUPP)
}

// sync makes the data durable and closes the file.
func (d *draft) sync() error {
	d.flush()
	return d.finish()
}

// flush makes the data durable. A failed fsync is final: the kernel may have marked the
// pages clean, so that a second one succeeds without writing them.
func (d *draft) flush() error {
	if d.err == nil {
		d.err = d.f.Sync()
	}
	return d.err
}

// finish closes the file without making it durable.
func (d *draft) finish() error {
	if err := d.f.Close(); d.err == nil {
		d.err = err
	}
	d.f = nil
	return d.err
}

// setArrival sets the file's mtime, which tells the arrival where the key does not.
func (d *draft) setArrival(t time.Time) {
	if d.err == nil {
		ts := unix.NsecToTimespec(t.UnixNano())
		d.err = unix.UtimesNanoAt(d.inbox.tmp.Fd(), d.name, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
	}
}

// publish renames the synced draft into new/: DRAFT to NEW. The directory is not
// synced yet. It returns the entry's name; fs.ErrExist where that is taken.
func (d *draft) publish() (string, error) {
	if d.err != nil {
		return "", d.err
	}
	name := d.fileName().String()
	if err := d.inbox.tmp.Rename(d.name, d.inbox.new, name); err != nil {
		return "", err
	}
	d.name = ""
	return name, nil
}

// fileName is the name that the draft gets in new/.
func (d *draft) fileName() fileName { return fileName{d.key, d.size, d.size + d.breaks} }

// abort removes what is left of the draft.
func (d *draft) abort() {
	if d.f != nil {
		d.f.Close()
		d.f = nil
	}
	if d.name != "" {
		d.inbox.tmp.Remove(d.name)
		d.name = ""
	}
}

// commit syncs the names in new/. Where that fails it removes the name again, so
// that a message that was refused does not stay. If that fails too, the client's
// repeat may double the message, but it is never lost.
func (b *inbox) commit(name string) error {
	err := b.new.Sync()
	if err == nil {
		return nil
	}
	if gone := b.new.Remove(name); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
		return errors.Join(err, gone)
	}
	return err
}
