package mailctl

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
	"strconv"

	"paperpath/internal/spool"
)

// shortTag is the least length of a short name: new entries should not make it
// ambiguous while a person types it.
const shortTag = 8

const (
	randomDigits = 16
	suffixBits   = 48 // 12 digits, after a hyphen
)

// tag is the Tag of a key as numbers, in the order of the texts.
type tag struct{ random, suffix uint64 } // suffix: 0 where there is none, else with 1<<suffixBits

func tagOf(k spool.Key) (t tag) {
	text := k.Tag()
	t.random, _ = strconv.ParseUint(text[:randomDigits], 16, 64) // as a key has it
	if len(text) > randomDigits {
		t.suffix, _ = strconv.ParseUint(text[randomDigits+1:], 16, suffixBits)
		t.suffix |= 1 << suffixBits
	}
	return t
}

func (t tag) compare(o tag) int {
	return cmp.Or(cmp.Compare(t.random, o.random), cmp.Compare(t.suffix, o.suffix))
}

// common returns how many characters two tags begin with alike.
func (t tag) common(o tag) int {
	switch {
	case t.random != o.random:
		return bits.LeadingZeros64(t.random^o.random) / 4
	case t.suffix == 0 || o.suffix == 0:
		return randomDigits
	}
	return randomDigits + 1 + (bits.LeadingZeros64(t.suffix^o.suffix)-(64-suffixBits))/4
}

// shortKeys says how short the name of a key may be among others.
type shortKeys struct {
	alike map[string]bool // beginnings of shortTag digits that several keys have
	tags  []tag           // of those, in order
}

func shortest(keys []spool.Key) (s shortKeys) {
	begin := make([]uint32, len(keys))
	for i, k := range keys {
		b, _ := strconv.ParseUint(k.Tag()[:shortTag], 16, 32)
		begin[i] = uint32(b)
	}
	slices.Sort(begin)
	s.alike = map[string]bool{}
	for i := 1; i < len(begin); i++ {
		if begin[i] == begin[i-1] {
			s.alike[fmt.Sprintf("%0*x", shortTag, begin[i])] = true
		}
	}
	if len(s.alike) == 0 {
		return s
	}
	for _, k := range keys {
		if s.alike[k.Tag()[:shortTag]] {
			s.tags = append(s.tags, tagOf(k))
		}
	}
	slices.SortFunc(s.tags, tag.compare)
	return s
}

// of returns the shortest beginning of the Tag of a key of the list, of at least eight
// characters, that no other key's has.
func (s shortKeys) of(k spool.Key) string {
	if k == "" {
		return ""
	}
	text := k.Tag()
	if !s.alike[text[:shortTag]] {
		return text[:shortTag]
	}
	t, n := tagOf(k), shortTag
	i, _ := slices.BinarySearchFunc(s.tags, t, tag.compare)
	if i > 0 {
		n = max(n, t.common(s.tags[i-1])+1)
	}
	if i+1 < len(s.tags) {
		n = max(n, t.common(s.tags[i+1])+1)
	}
	return text[:min(n, len(text))]
}
