package maildir

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"
)

// List returns the messages of new/ and cur/, sorted by key: regular files as
// the directory says, without a look at them. Each directory is read once, cur/
// last, so that a message which a reader moves meanwhile is listed once, as it
// was seen last.
//
// The messages share the memory of their names.
func (d *Dir) List() ([]Message, error) {
	var arena strings.Builder
	if err := d.new.AppendRegular(&arena); err != nil {
		return nil, err
	}
	inNew := arena.Len()
	if err := d.cur.AppendRegular(&arena); err != nil {
		return nil, err
	}
	list := listing{names: arena.String(), inNew: inNew}
	all, twins := list.messages()
	d.twins = twins
	return all, nil
}

// listing is the names in new/ and cur/, each with a NUL behind it.
type listing struct {
	names string
	inNew int // names before this offset are in new/
}

// slot is one name of a listing. What is compared is kept beside it, since a
// look at the names in the order of sorting would be one at memory far away.
type slot struct {
	prefix    uint64 // what stands behind the part that all bases share
	at        int    // offset of the name
	base, all uint16 // lengths of base and name, which on some file systems is more than 255 bytes
}

// messages returns what the names say, sorted by base. Of those that have the
// same base there is one, the one in cur/ before the one in new/; twins are
// those that were left out for it.
func (l listing) messages() (all []Message, twins []twin) {
	slots := l.slots()
	slices.SortFunc(slots, l.compare)
	all = make([]Message, 0, len(slots))
	var kept slot
	for _, s := range slots {
		if len(all) > 0 && l.base(s) == l.base(kept) {
			if l.sub(s) == "new" && l.sub(kept) == "cur" {
				twins = append(twins, twin{new: l.name(s), cur: l.name(kept)})
			}
			continue
		}
		kept = s
		all = append(all, parse(l.sub(s), l.name(s)))
	}
	return all, twins
}

func (l listing) name(s slot) string { return l.names[s.at : s.at+int(s.all)] }

func (l listing) sub(s slot) string {
	if s.at < l.inNew {
		return "new"
	}
	return "cur"
}

func (l listing) base(s slot) string { return l.names[s.at : s.at+int(s.base)] }

func (l listing) compare(a, b slot) int {
	if a.prefix != b.prefix {
		return cmp.Compare(a.prefix, b.prefix)
	}
	// cur/ before new/: it was read later.
	return cmp.Or(strings.Compare(l.base(a), l.base(b)), cmp.Compare(b.at, a.at))
}

// slots cuts the names apart.
func (l listing) slots() []slot {
	slots := make([]slot, 0, strings.Count(l.names, "\x00"))
	for at := 0; at < len(l.names); {
		all := strings.IndexByte(l.names[at:], 0)
		base := strings.IndexByte(l.names[at:at+all], ':')
		if base < 0 {
			base = all
		}
		slots = append(slots, slot{at: at, base: uint16(base), all: uint16(all)})
		at += all + 1
	}
	shared := l.shared(slots)
	for i := range slots {
		slots[i].prefix = number64(l.base(slots[i])[shared:])
	}
	return slots
}

// shared is the length of what all bases begin with: the time's first digits,
// as a rule.
func (l listing) shared(slots []slot) int {
	if len(slots) == 0 {
		return 0
	}
	first := l.base(slots[0])
	n := len(first)
	for _, s := range slots {
		base := l.base(s)
		n = min(n, len(base))
		if base[:n] == first[:n] {
			continue
		}
		for n = 0; base[n] == first[n]; n++ {
		}
	}
	return n
}

// number64 is the start of s as a number that compares as s does. No byte of a
// name is 0.
func number64(s string) uint64 {
	var b [8]byte
	copy(b[:], s)
	return binary.BigEndian.Uint64(b[:])
}
