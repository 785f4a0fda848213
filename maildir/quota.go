package maildir

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"paperpath/internal/dir"
)

// Quota is the limit of a mailbox: how much all its folders but Trash may hold together. 0
// is no limit. It is counted by the rules of Maildir++, in the file maildirsize, which
// Courier, Dovecot and others keep too.
type Quota struct {
	Octets   int64
	Messages int64
}

// Usage is how much a mailbox holds.
type Usage struct {
	Octets   int64
	Messages int64
}

const (
	sizeFile    = "maildirsize"
	maxSizeFile = 5120             // octets of the file, from which on it is made anew
	sizeFileAge = 15 * time.Minute // within which one that was just counted is believed
	trashPrefix = trashFolder + "."
)

// IsZero reports whether there is no limit.
func (q Quota) IsZero() bool { return q == Quota{} }

// String is the limit as the first line of maildirsize has it.
func (q Quota) String() string {
	var parts []string
	if q.Octets > 0 {
		parts = append(parts, strconv.FormatInt(q.Octets, 10)+"S")
	}
	if q.Messages > 0 {
		parts = append(parts, strconv.FormatInt(q.Messages, 10)+"C")
	}
	return strings.Join(parts, ",")
}

// Holds reports whether a usage is within the limit.
func (q Quota) Holds(u Usage) bool {
	return (q.Octets == 0 || u.Octets <= q.Octets) && (q.Messages == 0 || u.Messages <= q.Messages)
}

// With is the usage with one message more.
func (u Usage) With(octets int64) Usage { return u.And(Usage{octets, 1}) }

// And is the sum of two usages.
func (u Usage) And(more Usage) Usage {
	return Usage{u.Octets + more.Octets, u.Messages + more.Messages}
}

// Room returns how much the Maildir root holds, and whether a message of so many octets
// fits. Where the file is missing, damaged, too long, or for another limit, everything is
// counted; so it is before a message is refused, unless that has just been done: what other
// programs have removed must not keep a mailbox full. now is the machine's clock.
func (q Quota) Room(root string, octets int64, now time.Time) (u Usage, fits bool, err error) {
	return q.RoomFor(root, Usage{octets, 1}, now)
}

// RoomFor is Room for several messages.
func (q Quota) RoomFor(root string, more Usage, now time.Time) (u Usage, fits bool, err error) {
	u, fresh, err := q.read(root, now)
	if err != nil {
		return u, false, err
	}
	if fits = q.Holds(u.And(more)); fits || fresh {
		return u, fits, nil
	}
	u, err = q.count(root)
	return u, err == nil && q.Holds(u.And(more)), err
}

// read returns what maildirsize says, or counts. fresh says that nothing has changed since a
// count of less than 15 minutes ago.
func (q Quota) read(root string, now time.Time) (u Usage, fresh bool, err error) {
	f, err := dir.OpenPath(filepath.Join(root, sizeFile), os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, dir.ErrNotRegular) {
		u, err = q.count(root)
		return u, true, err
	}
	if err != nil {
		return u, false, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSizeFile))
	if err != nil {
		return u, false, err
	}
	st, err := f.Stat()
	if err != nil {
		return u, false, err
	}
	limit, u, lines, ok := parseSizes(string(text))
	if !ok || len(text) >= maxSizeFile || limit != q {
		u, err = q.count(root)
		return u, true, err
	}
	return u, lines == 1 && now.Sub(st.ModTime()) < sizeFileAge, nil
}

// parseSizes reads maildirsize: the limit, then lines `octets messages` to be added up. It
// is not ok if a line is none, the last one is cut off, or the sum is negative.
func parseSizes(text string) (limit Quota, u Usage, lines int, ok bool) {
	head, rest, found := strings.Cut(text, "\n")
	limit, known := parseLimit(head)
	if !found || !known {
		return limit, u, 0, false
	}
	for rest != "" {
		var line string
		if line, rest, found = strings.Cut(rest, "\n"); !found {
			return limit, u, lines, false
		}
		octets, messages, ok := parseSizeLine(line)
		if !ok {
			return limit, u, lines, false
		}
		u.Octets, u.Messages, lines = u.Octets+octets, u.Messages+messages, lines+1
	}
	return limit, u, lines, lines > 0 && u.Octets >= 0 && u.Messages >= 0
}

// parseSizeLine reads two numbers, padded with blanks by some programs.
func parseSizeLine(line string) (octets, messages int64, ok bool) {
	words := strings.Fields(line)
	if len(words) != 2 {
		return 0, 0, false
	}
	octets, wrong := strconv.ParseInt(words[0], 10, sizeBits+8)
	messages, bad := strconv.ParseInt(words[1], 10, sizeBits)
	return octets, messages, wrong == nil && bad == nil
}

// parseLimit reads `104857600S,1000C`.
func parseLimit(s string) (q Quota, ok bool) {
	for _, part := range strings.Split(strings.TrimSpace(s), ",") {
		if part == "" {
			continue
		}
		n, err := strconv.ParseInt(part[:len(part)-1], 10, 62)
		if err != nil || n < 0 {
			return q, false
		}
		switch part[len(part)-1] {
		case 'S':
			q.Octets = n
		case 'C':
			q.Messages = n
		default:
			return q, false
		}
	}
	return q, true
}

// Used returns how much the Maildir root holds, without changing anything.
func (q Quota) Used(root string) (Usage, error) {
	u, _, err := usage(root)
	return u, err
}

// maxCounts is how often a mailbox is counted that changes meanwhile.
const maxCounts = 3

// count counts the mailbox and writes maildirsize. If messages come and go meanwhile, there
// is no file afterwards, and the next one counts again.
func (q Quota) count(root string) (u Usage, err error) {
	d, err := Open(root)
	if err != nil {
		return u, err
	}
	defer d.Close()
	for range maxCounts {
		var before, after time.Time
		if u, before, err = usage(root); err != nil {
			return u, err
		}
		if err = d.writeSizes(q, u); err != nil {
			return u, err
		}
		if after, err = latest(root); err != nil || !after.After(before) {
			return u, err
		}
	}
	if err = d.self.Remove(sizeFile); errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return u, err
}

// writeSizes replaces maildirsize. It is not synced: what a power cut leaves is counted
// again if it is damaged.
func (d *Dir) writeSizes(q Quota, u Usage) error {
	name := sizeFile + "." + rand.Text()
	f, err := d.tmp.Create(name, d.fileMode())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%s\n%d %d\n", q, u.Octets, u.Messages)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = d.tmp.Replace(name, d.self, sizeFile)
	}
	if err != nil {
		d.tmp.Remove(name)
	}
	return err
}

// usage counts what the mailbox holds, by the names where they have sizes, and returns when
// its directories changed last.
func usage(root string) (u Usage, changed time.Time, err error) {
	if changed, err = latest(root); err != nil {
		return u, changed, err
	}
	err = eachSub(root, func(d *dir.Dir, sub string) error {
		return d.Names(func(name string) bool {
			m := parse(sub, name)
			if m.Has(Trashed) {
				return true
			}
			if m.Size < 0 {
				st, err := d.StatName(name)
				if err != nil {
					return true // it has just gone
				}
				m.Size = st.Size
			}
			u = u.With(m.Size)
			return true
		})
	})
	return u, changed, err
}

// latest returns when a directory of messages in the mailbox changed last.
func latest(root string) (changed time.Time, err error) {
	err = eachSub(root, func(d *dir.Dir, _ string) error {
		st, err := d.Stat()
		if at := time.Unix(st.Mtim.Unix()); err == nil && at.After(changed) {
			changed = at
		}
		return err
	})
	return changed, err
}

// eachSub calls do for new/ and cur/ of the mailbox and of its folders, without the trash.
func eachSub(root string, do func(d *dir.Dir, sub string) error) error {
	folders, err := Folders(root)
	if err != nil {
		return err
	}
	for _, folder := range append([]string{""}, folders...) {
		if folder != "" && !Counts(folder) {
			continue
		}
		for _, sub := range []string{"new", "cur"} {
			d, err := dir.Open(filepath.Join(root, folder, sub))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err == nil {
				err = do(d, sub)
				d.Close()
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// QuotaSize returns how much of a Maildir++ quota a message takes, in octets: 0 for a
// message that does not count, because it has the flag T or is gone.
func (d *Dir) QuotaSize(m *Message) int64 {
	switch {
	case m.Has(Trashed):
		return 0
	case m.Size >= 0:
		return m.Size
	}
	st, err := d.sub(m.Sub).StatName(m.Name)
	if err != nil {
		return 0
	}
	return st.Size
}

// HasQuota reports whether a program keeps a Maildir++ quota for the Maildir root, in
// the file maildirsize.
func HasQuota(root string) bool {
	st, err := os.Lstat(filepath.Join(root, sizeFile))
	return err == nil && st.Mode().IsRegular()
}

// ReduceQuota notes in the Maildir++ quota of the Maildir root that n messages of so
// many octets are gone.
func ReduceQuota(root string, octets int64, n int) error { return changeQuota(root, -octets, -n) }

// CountQuota notes in the Maildir++ quota of the mailbox, if there is one, that the file
// name has come into this Maildir, which may be a folder of it.
func (d *Dir) CountQuota(name string) error {
	root := d.path
	if folder := filepath.Base(root); strings.HasPrefix(folder, ".") {
		if !Counts(folder) {
			return nil
		}
		root = filepath.Dir(root)
	} else if _, err := d.self.StatName(sizeFile); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return changeQuota(root, max(parse("new", name).Size, 0), 1)
}

// Counts reports whether a folder, named with its dot, counts for the quota of its mailbox, as
// all but the trash do.
func Counts(folder string) bool {
	return strings.HasPrefix(folder, ".") && folder != trashFolder && !strings.HasPrefix(folder, trashPrefix)
}

// changeQuota appends a line, in one write: the format wants that.
func changeQuota(root string, octets int64, n int) error {
	f, err := dir.OpenPath(filepath.Join(root, sizeFile), os.O_WRONLY|os.O_APPEND, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%d %d\n", octets, n)
	return errors.Join(err, f.Close())
}
