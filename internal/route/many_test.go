package route

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"paperpath/internal/spool"
)

// Aliases may turn a few recipients into more than the head of one entry holds; every
// child can still be read back.
func TestVeryManyRecipientsAtOtherHosts(t *testing.T) {
	const lists, each = 60, 600
	var aliases, to []string
	for l := range lists {
		var names []string
		for n := range each {
			names = append(names, fmt.Sprintf("%s%d.%d@%s.example.com", strings.Repeat("x", 40), l, n, strings.Repeat("d", 60)))
		}
		aliases = append(aliases, fmt.Sprintf("l%d: %s\n", l, strings.Join(names, ", ")))
		to = append(to, fmt.Sprintf("l%d@example.net", l))
	}
	p := newPath(t, strings.Join(aliases, ""))
	p.time = time.Now().Add(time.Minute)
	p.accept("alice@example.net", spool.WithLocal, to...)
	p.run()
	total := 0
	for _, head := range p.heads() { // which also finds what cannot be read
		if !strings.HasPrefix(head, "relay new ") {
			t.Errorf("%.100s", head)
		}
		total += strings.Count(head, "@") - 1
	}
	if total != lists*each {
		t.Errorf("%d recipients are left of %d", total, lists*each)
	}
}
