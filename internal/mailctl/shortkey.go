package mailctl

import (
	"slices"
	"strings"

	"paperpath/internal/spool"
)

// shortTag is the least length of a short name: new entries should not make it
// ambiguous while a person types it.
const shortTag = 8

// tagged is a key with its Tag.
type tagged struct {
	tag string
	key spool.Key
}

// shortest returns for each key the shortest beginning of its Tag, of at least eight
// characters, that no other key's has.
func shortest(keys []spool.Key) map[spool.Key]string {
	list := make([]tagged, len(keys))
	for i, k := range keys {
		list[i] = tagged{k.Tag(), k}
	}
	slices.SortFunc(list, func(a, b tagged) int { return strings.Compare(a.tag, b.tag) })
	ids := make(map[spool.Key]string, len(list))
	for i, t := range list {
		n := shortTag
		if i > 0 {
			n = max(n, common(t.tag, list[i-1].tag)+1)
		}
		if i+1 < len(list) {
			n = max(n, common(t.tag, list[i+1].tag)+1)
		}
		ids[t.key] = t.tag[:min(n, len(t.tag))]
	}
	return ids
}

// common returns how many octets two tags begin with alike.
func common(s, t string) int {
	n := 0
	for n < min(len(s), len(t)) && s[n] == t[n] {
		n++
	}
	return n
}
