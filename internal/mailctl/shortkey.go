package mailctl

import (
	"cmp"
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
type shortKeys []tag

func shortest(keys []spool.Key) shortKeys {
	list := make(shortKeys, len(keys))
	for i, k := range keys {
		list[i] = tagOf(k)
	}
	slices.SortFunc(list, tag.compare)
	return list
}

// of returns the shortest beginning of the Tag of a key of the list, of at least eight
// characters, that no other key's has.
func (s shortKeys) of(k spool.Key) string {
	if k == "" {
		return ""
	}
	t, n := tagOf(k), shortTag
	i, _ := slices.BinarySearchFunc(s, t, tag.compare)
	if i > 0 {
		n = max(n, t.common(s[i-1])+1)
	}
	if i+1 < len(s) {
		n = max(n, t.common(s[i+1])+1)
	}
	text := k.Tag()
	return text[:min(n, len(text))]
}
