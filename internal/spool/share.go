package spool

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/dir"
)

// hold/ has a share of the disk. Strangers can make us hold what they send, so
// above the share the oldest of theirs is cut to its header, then removed.

// Share is what hold/ may have.
type Share struct {
	Bytes, Count int64
	// Stranger reports whether nothing proves who sent an entry: only those are cut
	// and removed.
	Stranger func(*Entry) bool
}

const (
	maxCutHeader = 256 << 10 // octets of a header that stay
	littleText   = 512       // octets below it that are not worth a cut: more than its note has
	overBytes    = "hold/ has more than holdbytes, or a tenth of its file system"
	overCount    = "hold/ has more than holdcount"
)

// held is a file in hold/.
type held struct {
	key   Key
	at    spot
	size  int64
	since time.Time
}

// fitHold brings hold/ below its share, as far as there are entries that may be cut
// and removed. Only the runner of route/ calls it, one call at a time.
func (s *Spool) fitHold(share Share) error {
	b, err := s.inbox(InboxHold)
	if err != nil {
		return err
	}
	list, total, err := b.heldFiles()
	if err != nil {
		return err
	}
	limit, err := holdLimit(b, share.Bytes)
	if err != nil {
		return err
	}
	f := fitter{spool: s, inbox: b, share: share, bytes: total, count: int64(len(list)), limit: limit}
	if !f.over() {
		return nil
	}
	slices.SortStableFunc(list, func(a, b held) int {
		return cmp.Or(a.since.Compare(b.since), strings.Compare(string(a.key), string(b.key)))
	})
	for _, do := range []func(*held) error{f.cut, f.remove} {
		for i := range list {
			if err := do(&list[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// holdLimit returns how many octets hold/ may have: those of the setting, but a tenth
// of the file system at most.
func holdLimit(b *inbox, bytes int64) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(b.self.Fd(), &st); err != nil {
		return 0, &fs.PathError{Op: "statfs", Path: b.self.Path(), Err: err}
	}
	return tenth(bytes, int64(st.Blocks), st.Bsize), nil
}

func tenth(bytes, blocks, size int64) int64 {
	if blocks <= 0 || size <= 0 {
		return bytes // a file system that does not say
	}
	return min(bytes, blocks/10*size)
}

// heldFiles lists the files in hold/ and returns how many octets they have.
func (b *inbox) heldFiles() (list []held, total int64, err error) {
	spots, err := b.sorted()
	if err != nil {
		return nil, 0, err
	}
	for _, at := range spots {
		file, err := at.stat()
		if err != nil || dir.Kind(file) != "" {
			continue
		}
		h := held{key: at.key(), at: at, size: file.Size}
		if h.since, err = b.heldAt(h.key, file); err != nil {
			return nil, 0, err
		}
		list, total = append(list, h), total+h.size
	}
	return list, total, nil
}

// heldAt returns when a file came into hold/: the mtime of its reason, or the file's
// own change time where it has none.
func (b *inbox) heldAt(k Key, file unix.Stat_t) (time.Time, error) {
	if k != "" {
		if since, has, err := b.due(k); has || err != nil {
			return since, err
		}
	}
	return time.Unix(file.Ctim.Unix()), nil
}

// fitter knows how far hold/ is over its share.
type fitter struct {
	spool        *Spool
	inbox        *inbox
	share        Share
	bytes, count int64
	limit        int64 // of bytes
}

func (f *fitter) over() bool { return f.bytes > f.limit || f.count > f.share.Count }

// cut takes the body of an entry where there are too many octets.
func (f *fitter) cut(h *held) error {
	if f.bytes <= f.limit {
		return nil
	}
	return f.take(h, func(e *Entry) error {
		cut, err := f.spool.cutHeld(e, h.since)
		if err != nil || cut.key == "" {
			return err
		}
		f.spool.log.Cut(string(e.Key), string(InboxHold), h.size-cut.size, overBytes)
		f.bytes -= h.size - cut.size
		h.at, h.size = spot{f.inbox, stateNew, cut.String()}, cut.size
		return nil
	})
}

// remove removes an entry where there are too many, or still too many octets.
func (f *fitter) remove(h *held) error {
	why := overBytes
	if f.bytes <= f.limit {
		why = overCount
	}
	if !f.over() {
		return nil
	}
	return f.take(h, func(e *Entry) error {
		err := e.at.remove()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a person was faster
		}
		if err != nil {
			return err
		}
		f.inbox.dropReason(e.Key)
		f.spool.log.Dropped(string(e.Key), string(InboxHold), why)
		f.bytes, f.count, h.key = f.bytes-h.size, f.count-1, ""
		return nil
	})
}

// take calls do with an entry that may be cut or removed.
func (f *fitter) take(h *held, do func(*Entry) error) error {
	if h.key == "" {
		return nil
	}
	e, err := h.at.open()
	if err != nil {
		return nil // gone, or nothing of ours to judge
	}
	defer e.close()
	if !heldByStage(lineText(e.reasons.first)) || !f.share.Stranger(e) {
		return nil
	}
	return do(e)
}

// heldByStage reports whether the first line of a reason is a stage's. What a
// person held, or moved here by hand, stays for them.
func heldByStage(first string) bool {
	in, rest, _ := strings.Cut(first, " ")
	_, verb, _ := strings.Cut(rest, " ")
	return in != string(InboxHold) && slices.Contains(Inboxes(), Inbox(in)) &&
		strings.HasPrefix(verb, verbHeld+": ")
}

// cutHeld: HELD to HELD, with the header alone and a line that says so. The short
// file is there before the long one goes; a crash between the two leaves both,
// and the next pass the short one. The name is zero where nothing is gained.
func (s *Spool) cutHeld(e *Entry, since time.Time) (fileName, error) {
	end, err := headerEnd(e.Message())
	if err != nil {
		return fileName{}, err
	}
	keep := e.head.end + end
	note := fmt.Sprintf("\n[hold/ was full: %d octets of this message's text were removed here.]\n", e.Size-keep)
	if e.Size-keep <= littleText {
		return fileName{}, nil
	}
	d, err := e.at.inbox.newDraft(e.Key)
	if err != nil {
		return fileName{}, err
	}
	defer d.abort()
	if _, err = io.Copy(d, io.NewSectionReader(e.file, 0, keep)); err == nil {
		_, err = io.WriteString(d, note)
	}
	if err != nil {
		return fileName{}, err
	}
	d.setArrival(e.Arrival)
	if err := d.sync(); err != nil {
		return fileName{}, err
	}
	return s.replaceHeld(e, d, since)
}

// replaceHeld puts the draft of the same key in the entry's place.
func (s *Spool) replaceHeld(e *Entry, d *draft, since time.Time) (fileName, error) {
	if _, err := d.publish(); err != nil && !errors.Is(err, fs.ErrExist) { // left by a crash
		return fileName{}, err
	}
	hold, cut := e.at.inbox, d.fileName()
	if err := hold.new.Sync(); err != nil {
		return fileName{}, err
	}
	err := e.at.remove()
	if errors.Is(err, fs.ErrNotExist) { // released or flagged in the meantime: the whole one counts
		return fileName{}, hold.new.Remove(cut.String())
	}
	if err != nil {
		return fileName{}, err
	}
	line := reasonLine(s.now(), InboxHold, "cut", "to its header, hold/ was full")
	return cut, hold.addReason(e.Key, line, since)
}

// headerEnd is the length of the header without the empty line that ends it, and
// of no more lines than fit into maxCutHeader.
func headerEnd(m *io.SectionReader) (int64, error) {
	r := bufio.NewReaderSize(io.NewSectionReader(m, 0, min(m.Size(), maxCutHeader)), 64<<10)
	end := int64(0)
	for {
		line, err := r.ReadString('\n')
		if err != nil && err != io.EOF {
			return 0, err
		}
		if err == io.EOF || line == "\n" {
			return end, nil
		}
		end += int64(len(line))
	}
}
