package mailctl

import (
	"slices"
	"strings"

	"paperpath/internal/spool"
)

// shortTag is the least length of a short name: new entries should not make it
// ambiguous while a person types it.
const shortTag = 8

// shortest returns for each key the shortest beginning of its Tag, of at least eight
// characters, that no other key's has.
func shortest(keys []spool.Key) map[spool.Key]string {
	slices.SortFunc(keys, func(a, b spool.Key) int { return strings.Compare(a.Tag(), b.Tag()) })
	ids := make(map[spool.Key]string, len(keys))
	for i, k := range keys {
		n := shortTag
		if i > 0 {
			n = max(n, common(k, keys[i-1])+1)
		}
		if i+1 < len(keys) {
			n = max(n, common(k, keys[i+1])+1)
		}
		tag := k.Tag()
		ids[k] = tag[:min(n, len(tag))]
	}
	return ids
}

// common returns how many octets the tags of two keys begin with alike.
func common(a, b spool.Key) int {
	s, t := a.Tag(), b.Tag()
	n := 0
	for n < min(len(s), len(t)) && s[n] == t[n] {
		n++
	}
	return n
}
