package maildir

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"

	"paperpath/internal/dir"
)

// List returns the messages in new/ and cur/, sorted by key: what the directories say
// are regular files. Each directory is read once, cur/ last. Files are looked at only
// if they share a key: a message that a reader moves meanwhile is listed once, and so
// is one with two names. Different files with one key are listed in the order in
// which they came (see SettleDuplicates).
//
// The names of the messages share memory.
func (d *Dir) List() ([]Message, error) {
	var arena strings.Builder
	arena.Grow(d.namesSize())
	if err := d.new.AppendRegular(&arena); err != nil {
		return nil, err
	}
	inNew := arena.Len()
	if err := d.cur.AppendRegular(&arena); err != nil {
		return nil, err
	}
	list := listing{names: arena.String(), inNew: inNew}
	d.extraNames = nil
	return d.distinct(list.messages()), nil
}

// namesSize guesses, from the sizes of the directories, how many octets all names have: a
// larger buffer for each doubling would cost more than reading them.
func (d *Dir) namesSize() (n int) {
	const most = 32 << 20
	for _, sub := range []*dir.Dir{d.new, d.cur} {
		if st, err := sub.Stat(); err == nil {
			n += int(min(max(st.Size, 0), most))
		}
	}
	return n
}

// listing holds the names in new/ and cur/, each with a NUL after it.
type listing struct {
	names string
	inNew int // names before this offset are in new/
}

// slot is one name of a listing. It holds a copy of what is compared, since reading
// the names themselves while sorting would jump about in memory.
type slot struct {
	prefix         uint64 // what follows the part that all keys share
	at             int    // offset of the name
	key, base, all uint16 // lengths of key, base and name, which on some file systems is more than 255 bytes
}

// messages parses the names and sorts them by key.
func (l listing) messages() []Message {
	slots := l.slots()
	slices.SortFunc(slots, l.compare)
	all := make([]Message, len(slots))
	for i, s := range slots {
		all[i] = parse(l.sub(s), l.name(s))
	}
	return all
}

func (l listing) name(s slot) string { return l.names[s.at : s.at+int(s.all)] }

func (l listing) sub(s slot) string {
	if s.at < l.inNew {
		return "new"
	}
	return "cur"
}

func (l listing) base(s slot) string { return l.names[s.at : s.at+int(s.base)] }

func (l listing) key(s slot) string { return l.names[s.at : s.at+int(s.key)] }

func (l listing) compare(a, b slot) int {
	if a.prefix != b.prefix {
		return cmp.Compare(a.prefix, b.prefix)
	}
	// cur/ before new/: it was read later.
	return cmp.Or(strings.Compare(l.key(a), l.key(b)), strings.Compare(l.base(a), l.base(b)),
		cmp.Compare(b.at, a.at))
}

// slots splits the names.
func (l listing) slots() []slot {
	slots := make([]slot, 0, strings.Count(l.names, "\x00"))
	for at := 0; at < len(l.names); {
		all := strings.IndexByte(l.names[at:], 0)
		base := strings.IndexByte(l.names[at:at+all], ':')
		if base < 0 {
			base = all
		}
		key := strings.IndexByte(l.names[at:at+base], ',')
		if key < 0 {
			key = base
		}
		slots = append(slots, slot{at: at, key: uint16(key), base: uint16(base), all: uint16(all)})
		at += all + 1
	}
	shared := l.shared(slots)
	for i := range slots {
		slots[i].prefix = number64(l.key(slots[i])[shared:])
	}
	return slots
}

// shared returns the length of the prefix that all keys share: the first digits of
// the time, as a rule.
func (l listing) shared(slots []slot) int {
	if len(slots) == 0 {
		return 0
	}
	first := l.key(slots[0])
	n := len(first)
	for _, s := range slots {
		key := l.key(s)
		n = min(n, len(key))
		if key[:n] == first[:n] {
			continue
		}
		for n = 0; key[n] == first[n]; n++ {
		}
	}
	return n
}

// number64 returns the first bytes of s as a number that sorts as s does: no byte of
// a name is 0.
func number64(s string) uint64 {
	var b [8]byte
	copy(b[:], s)
	return binary.BigEndian.Uint64(b[:])
}
