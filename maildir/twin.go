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

	"golang.org/x/sys/unix"
)

// Files that share a key: a restored copy, a message that somebody edited and
// saved beside the old one, two names that a power cut has left. A key is an
// id for life (RFC 1939 7), so the file that came first keeps it.

// claim is a file of a key that is not its alone.
type claim struct {
	Message
	st   unix.Statx_t
	born int64 // nanoseconds; 0 where the file system does not say
}

// link is a file under two names.
type link struct{ kept, again Message }

// settled returns a listing in which the names of one key are those of
// different files, in the order in which they came.
func (d *Dir) settled(all []Message) []Message {
	out, kept := all[:0], 0
	for at := 0; at < len(all); {
		end := at + 1
		for end < len(all) && all[end].Key == all[at].Key {
			end++
		}
		group := all[at:end]
		if len(group) > 1 {
			group = d.files(group)
		}
		out = append(out[:kept], group...)
		kept, at = len(out), end
	}
	return out
}

// files leaves out names that have gone since they were read, and all but one
// name of a file. Where all have gone, the last one that was read is a message
// that moves quickly, to be looked for.
func (d *Dir) files(group []Message) []Message {
	claims := d.claims(group)
	if len(claims) == 0 {
		return group[:1]
	}
	kept := claims[:0]
	for _, c := range claims {
		// One that moves in this instant has two names too, but one link.
		switch at := slices.IndexFunc(kept, c.isFile); {
		case at < 0:
			kept = append(kept, c)
		case c.st.Nlink > 1:
			d.links = append(d.links, link{kept[at].Message, c.Message})
		}
	}
	slices.SortFunc(kept, claim.compare)
	out := make([]Message, len(kept))
	for i, c := range kept {
		out[i] = c.Message
	}
	return out
}

// claims looks at the files of a key. Of two names of one file the one in cur/,
// and with more flags, is first: whoever gave it knows more of the message.
func (d *Dir) claims(group []Message) []claim {
	var claims []claim
	dated := true
	for _, m := range group {
		c := claim{Message: m}
		err := unix.Statx(d.sub(m.Sub).Fd(), m.Name, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &c.st)
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
		return cmp.Or(strings.Compare(a.Sub, b.Sub), cmp.Compare(len(b.Flags), len(a.Flags)), strings.Compare(a.Name, b.Name))
	})
	return claims
}

func (c claim) isFile(o claim) bool {
	return c.st.Ino == o.st.Ino && c.st.Dev_major == o.st.Dev_major && c.st.Dev_minor == o.st.Dev_minor
}

// compare orders by who came first. The file's birth tells it: a copy is made
// behind the original. Its ctime is changed by every flag: of two born in one
// tick of the kernel's clock the name without flags tells. Where there is no
// birth what nobody has seen, in new/, came later, then the ctime tells.
func (c claim) compare(o claim) int {
	tie := 0
	if c.born != 0 {
		tie = strings.Compare(c.base(), o.base())
	}
	changed := func(c claim) int64 { return c.st.Ctime.Sec*1e9 + int64(c.st.Ctime.Nsec) }
	return cmp.Or(cmp.Compare(c.born, o.born), strings.Compare(c.Sub, o.Sub), tie,
		cmp.Compare(changed(c), changed(o)), strings.Compare(c.Name, o.Name))
}

// A Twin is what Untwin did about a file that had another one's key.
type Twin struct {
	Key    string // that it had
	Repeat bool   // it had the bytes of an earlier one, and goes
	Stays  bool   // it could not be removed
	Fresh  string // the key that it was given
}

// Untwin settles what List has left of files that share a key. One with the
// bytes of an earlier one goes from the list, and with mend from the disk. Each
// other that is not the first gets a fresh key: with mend in its name, durably;
// else, and where the name cannot be changed, in Fresh alone. A file's
// fresh key is the same each time, so that an id which a session has shown
// that only reads is the one that the file is given at last. The caller has
// the mailbox's lock where it mends.
func (d *Dir) Untwin(list []Message, mend bool) (kept []Message, did []Twin, err error) {
	if mend {
		did, err = d.unlink(did)
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
		t, failed := d.part(kept[first:], &m, taken, mend)
		err = errors.Join(err, failed)
		if !t.Repeat {
			kept = append(kept, m)
		}
		if t != (Twin{}) {
			did = append(did, t)
		}
	}
	if mend && len(did) > 0 {
		err = errors.Join(err, d.Sync())
	}
	return kept, did, err
}

// sharesKeys reports whether two messages of a listing have the same key.
func sharesKeys(list []Message) bool {
	for i := 1; i < len(list); i++ {
		if list[i].Key == list[i-1].Key {
			return true
		}
	}
	return false
}

// unlink removes the further names of files: a power cut leaves such on btrfs,
// which may keep the new name of a file that was moved and forget that the old
// one went; whoever deletes one name would see the message come back.
func (d *Dir) unlink(did []Twin) ([]Twin, error) {
	var failed error
	for _, l := range d.links {
		m := l.again
		err := d.withdraw(m, func(st unix.Stat_t) bool {
			kept, err := d.sub(l.kept.Sub).StatName(l.kept.Name)
			return err == nil && kept.Ino == st.Ino && kept.Dev == st.Dev && kept.Nlink > 1
		})
		switch {
		case err == nil:
			did = append(did, Twin{Key: m.Key, Repeat: true})
		case !errors.Is(err, fs.ErrNotExist):
			failed = errors.Join(failed, err)
		}
	}
	d.links = nil
	return did, failed
}

// part takes the key from a file that earlier ones have it from.
func (d *Dir) part(earlier []Message, m *Message, taken map[string]bool, mend bool) (Twin, error) {
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
			return Twin{Key: m.Key, Repeat: true, Stays: stays}, failed
		}
	}
	t := Twin{Key: m.Key, Fresh: d.freshKey(*m, taken)}
	taken[t.Fresh] = true
	if mend {
		err := d.again(m, func() error { return d.rename(m, m.Sub, t.Fresh+m.Name[len(t.Key):]) })
		if err == nil {
			return t, failed
		}
		failed = errors.Join(failed, err)
	}
	m.Fresh = t.Fresh
	return Twin{}, failed
}

// freshKey is the key for a file that cannot keep its own: in the form that
// other keys have, of what stays the same whoever flags, moves or copies the file.
func (d *Dir) freshKey(m Message, taken map[string]bool) string {
	st, _ := d.sub(m.Sub).StatName(m.Name) // of one that moves this instant the name is enough
	for n := 0; ; n++ {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d.%09d\x00%d\x00%d", m.base(), st.Mtim.Sec, st.Mtim.Nsec, st.Size, n))
		key := fmt.Sprintf("%d.M%06dR%x.%s", max(st.Mtim.Sec, 0), st.Mtim.Nsec/1000, sum[:8], hostOf(m.Key))
		if !taken[key] {
			return key
		}
	}
}

// maxHost is how much of a host's label a key holds.
const maxHost = 20

// hostOf is the label of the host behind a key's last dot.
func hostOf(key string) string {
	label := key[strings.LastIndexByte(key, '.')+1:]
	plain := func(r rune) bool {
		return r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
	}
	if label == "" || len(label) > maxHost || strings.ContainsFunc(label, func(r rune) bool { return !plain(r) }) {
		return "localhost"
	}
	return label
}

// withdraw removes a name for a file that there is elsewhere too. Another program
// may give that name to a message in this instant: what is there is taken
// aside first, and comes back where it is not what was meant.
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

// equal returns the status of b where it is another file with the bytes of a;
// nil where it is not.
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
	if x.Size != y.Size || x.Ino == y.Ino && x.Dev == y.Dev { // one that moves is itself
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
