package maildir

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Duplicates are files that share a key: a restored copy, a message that somebody
// edited and saved beside the old one, two names that a power cut has left. A key is
// an id for life (RFC 1939 7), so the file that came first keeps it.

// claim is one of several files with the same key.
type claim struct {
	Message
	st   unix.Statx_t
	born int64 // nanoseconds; 0 where the file system does not say
}

// extraName is a file with two names, one of which is to go.
type extraName struct{ kept, extra Message }

// distinct returns a listing in which the names with the same key belong to
// different files, in the order in which the files came.
func (d *Dir) distinct(all []Message) []Message {
	out, kept := all[:0], 0
	for at := 0; at < len(all); {
		end := at + 1
		for end < len(all) && all[end].Key == all[at].Key {
			end++
		}
		group := all[at:end]
		if len(group) > 1 {
			group = d.distinctFiles(group)
		}
		out = append(out[:kept], group...)
		kept, at = len(out), end
	}
	return out
}

// distinctFiles leaves out names that have gone since they were read, and all but
// one name of each file. If all have gone, it keeps the name that was read last:
// another program keeps moving that message, and retryMoved will find it.
func (d *Dir) distinctFiles(group []Message) []Message {
	claims := d.claims(group)
	if len(claims) == 0 {
		return group[:1]
	}
	kept := claims[:0]
	for _, c := range claims {
		// A file that is being moved right now also shows two names, but has one link.
		switch at := slices.IndexFunc(kept, c.isSameFile); {
		case at < 0:
			kept = append(kept, c)
		case c.st.Nlink > 1:
			d.extraNames = append(d.extraNames, extraName{kept[at].Message, c.Message})
		}
	}
	slices.SortFunc(kept, claim.compare)
	out := make([]Message, len(kept))
	for i, c := range kept {
		out[i] = c.Message
	}
	return out
}

// claims looks at the files with one key. Of two names of one file the one in cur/,
// then the one with more flags, comes first: it was given later.
func (d *Dir) claims(group []Message) []claim {
	var claims []claim
	dated := true
	for _, m := range group {
		c := claim{Message: m}
		const fields = unix.STATX_BASIC_STATS | unix.STATX_BTIME
		err := unix.Statx(d.sub(m.Sub).Fd(), m.Name, unix.AT_SYMLINK_NOFOLLOW, fields, &c.st)
		if err != nil || c.st.Mode&unix.S_IFMT != unix.S_IFREG {
			continue
		}
		c.born = c.st.Btime.Sec*1e9 + int64(c.st.Btime.Nsec)
		dated = dated && c.st.Mask&unix.STATX_BTIME != 0
		claims = append(claims, c)
	}
	for i := range claims {
		if !dated {
			claims[i].born = 0
		}
	}
	slices.SortFunc(claims, func(a, b claim) int {
		return cmp.Or(strings.Compare(a.Sub, b.Sub), cmp.Compare(len(b.Flags), len(a.Flags)),
			strings.Compare(a.Name, b.Name))
	})
	return claims
}

func (c claim) isSameFile(o claim) bool {
	return c.st.Ino == o.st.Ino && c.st.Dev_major == o.st.Dev_major && c.st.Dev_minor == o.st.Dev_minor
}

// compare orders claims by age. The birth time decides: a copy is younger than its
// original. Of two files born in one tick of the kernel's clock the name without
// flags decides, since every change of a flag changes the ctime. Without birth times
// a message in new/, which nobody has seen, is younger; then the ctime decides.
func (c claim) compare(o claim) int {
	tie := 0
	if c.born != 0 {
		tie = strings.Compare(c.base(), o.base())
	}
	changed := func(c claim) int64 { return c.st.Ctime.Sec*1e9 + int64(c.st.Ctime.Nsec) }
	return cmp.Or(cmp.Compare(c.born, o.born), strings.Compare(c.Sub, o.Sub), tie,
		cmp.Compare(changed(c), changed(o)), strings.Compare(c.Name, o.Name))
}

// A Duplicate says what SettleDuplicates did about a file that had another file's key.
type Duplicate struct {
	Key        string // the key that it had
	Identical  bool   // it has the bytes of an earlier file, and is removed
	NotRemoved bool   // but it could not be removed
	NewKey     string // the key that it was given
}

// SettleDuplicates gives each file in a listing of List a key of its own. A file with
// the bytes of an earlier one leaves the list and, with mend, the disk. Every other
// file but the first gets a new key: with mend in its name, durably; without, and
// where the name cannot be changed, only in Message.NewKey. The new key of a file is
// the same each time, so an id that a read-only session has shown is the one that
// the file will get. With mend the caller must hold the mailbox's lock.
func (d *Dir) SettleDuplicates(list []Message, mend bool) (kept []Message, did []Duplicate, err error) {
	if mend {
		did, err = d.removeExtraNames(did)
	}
	if !sharesKeys(list) {
		return list, did, err
	}
	taken := map[string]bool{}
	for _, m := range list {
		taken[m.Key] = true
	}
	first := 0 // of the kept ones with the same key
	for i := range list {
		m := list[i]
		if len(kept) == 0 || kept[first].Key != m.Key {
			first = len(kept)
			kept = append(kept, m)
			continue
		}
		t, failed := d.settleOne(kept[first:], &m, taken, mend)
		err = errors.Join(err, failed)
		if !t.Identical {
			kept = append(kept, m)
		}
		if t != (Duplicate{}) {
			did = append(did, t)
		}
	}
	if mend && len(did) > 0 {
		err = errors.Join(err, d.Sync())
	}
	return kept, did, err
}

// sharesKeys reports whether two messages in a sorted listing have the same key.
func sharesKeys(list []Message) bool {
	for i := 1; i < len(list); i++ {
		if list[i].Key == list[i-1].Key {
			return true
		}
	}
	return false
}

// removeExtraNames removes second names of files. A power cut leaves them on btrfs,
// which may keep the new name of a moved file and forget that the old one was
// removed; a user who deletes one name would see the message come back.
func (d *Dir) removeExtraNames(did []Duplicate) ([]Duplicate, error) {
	var failed error
	for _, l := range d.extraNames {
		m := l.extra
		err := d.withdraw(m, func(st unix.Stat_t) bool {
			kept, err := d.sub(l.kept.Sub).StatName(l.kept.Name)
			return err == nil && kept.Ino == st.Ino && kept.Dev == st.Dev && kept.Nlink > 1
		})
		switch {
		case err == nil:
			did = append(did, Duplicate{Key: m.Key, Identical: true})
		case !errors.Is(err, fs.ErrNotExist):
			failed = errors.Join(failed, err)
		}
	}
	d.extraNames = nil
	return did, failed
}

// settleOne removes m, or gives it a new key, since earlier files have its key.
func (d *Dir) settleOne(earlier []Message, m *Message, taken map[string]bool, mend bool) (Duplicate, error) {
	var failed error
	for _, o := range earlier {
		is, err := d.equal(o, *m)
		same := is != nil
		if same && mend {
			err = d.withdraw(*m, func(st unix.Stat_t) bool { return st.Ino == is.Ino && st.Dev == is.Dev })
		}
		stays := err != nil && !errors.Is(err, fs.ErrNotExist)
		if stays {
			failed = errors.Join(failed, err)
		}
		if same {
			return Duplicate{Key: m.Key, Identical: true, NotRemoved: stays}, failed
		}
	}
	t := Duplicate{Key: m.Key, NewKey: d.newKey(*m, taken)}
	taken[t.NewKey] = true
	if mend {
		err := d.retryMoved(m, func() error { return d.rename(m, m.Sub, t.NewKey+m.Name[len(t.Key):]) })
		if err == nil {
			return t, failed
		}
		failed = errors.Join(failed, err)
	}
	m.NewKey = t.NewKey
	return Duplicate{}, failed
}

// newKey returns the key for a file that cannot keep its own. It looks like other
// keys, and is made from what stays the same when the file is flagged, moved or copied.
func (d *Dir) newKey(m Message, taken map[string]bool) string {
	st, _ := d.sub(m.Sub).StatName(m.Name) // if it is being moved right now, the name is enough
	for n := 0; ; n++ {
		text := fmt.Appendf(nil, "%s\x00%d.%09d\x00%d\x00%d", m.base(), st.Mtim.Sec, st.Mtim.Nsec, st.Size, n)
		sum := sha256.Sum256(text)
		key := makeKey(time.Unix(st.Mtim.Unix()), sum[:8], hostOf(m.Key))
		if !taken[key] {
			return key
		}
	}
}

// withdraw removes a name of a file that also exists elsewhere. Another program may
// give that name to a message at this very moment, so the file is first moved to tmp/,
// and moved back if it is another file.
func (d *Dir) withdraw(m Message, meant func(unix.Stat_t) bool) error {
	from := d.sub(m.Sub)
	aside := "withdrawn." + rand.Text()
	if err := from.Rename(m.Name, d.tmp, aside); err != nil {
		return err
	}
	st, err := d.tmp.StatName(aside)
	if err == nil && meant(st) {
		return d.tmp.Remove(aside)
	}
	return errors.Join(err, d.tmp.Rename(aside, from, m.Name))
}

// equal returns the status of b if it is another file with the bytes of a, else nil.
func (d *Dir) equal(a, b Message) (*unix.Stat_t, error) {
	f, err := d.openRegular(&a)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	g, err := d.openRegular(&b)
	if err != nil {
		return nil, err
	}
	defer g.Close()
	var x, y unix.Stat_t
	if err := errors.Join(unix.Fstat(int(f.Fd()), &x), unix.Fstat(int(g.Fd()), &y)); err != nil {
		return nil, fmt.Errorf("stat %s: %w", g.Name(), err)
	}
	if x.Size != y.Size || x.Ino == y.Ino && x.Dev == y.Dev { // one file that is being moved
		return nil, nil
	}
	if same, err := sameText(f, g); !same || err != nil {
		return nil, err
	}
	return &y, nil
}

func sameText(f, g *os.File) (bool, error) {
	var x, y [32 << 10]byte
	for {
		n, err := io.ReadFull(f, x[:])
		k, other := io.ReadFull(g, y[:])
		if n != k || !bytes.Equal(x[:n], y[:k]) {
			return false, nil
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return other == err, nil
		}
		if err = errors.Join(err, other); err != nil {
			return false, fmt.Errorf("read %s: %w", f.Name(), err)
		}
	}
}
