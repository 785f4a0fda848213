package parts

import (
	"slices"
	"sort"
	"strings"
)

// longestBoundary is more than any boundary has: 70 octets are allowed (RFC 2046 5.1.1).
const longestBoundary = 1000

// boundaries are those that were declared. A boundary stays one, even behind its last
// part. None is the beginning of another: a line that begins with the longer begins with
// the shorter, too.
type boundaries struct{ sorted []string }

func (b *boundaries) add(text string) {
	if len(text) > longestBoundary || b.begins(text) {
		return
	}
	at, _ := slices.BinarySearch(b.sorted, text)
	end := at
	for end < len(b.sorted) && strings.HasPrefix(b.sorted[end], text) {
		end++
	}
	b.sorted = slices.Replace(b.sorted, at, end, text)
}

// begins reports whether text begins with a boundary, as some readers ask, or is one.
func (b *boundaries) begins(text string) bool { return b.beginBytes([]byte(text)) }

// beginBytes is begins, without a copy of each line.
func (b *boundaries) beginBytes(text []byte) bool {
	at := sort.Search(len(b.sorted), func(i int) bool { return b.sorted[i] > string(text) })
	return at > 0 && len(b.sorted[at-1]) <= len(text) && string(text[:len(b.sorted[at-1])]) == b.sorted[at-1]
}
