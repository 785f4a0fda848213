//go:build !race

package route

import (
	"fmt"
	"math/bits"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/status"
)

// fanned is a table in which each name of a layer leads to all names of the next one, and those
// of the last layer to mailboxes elsewhere.
func fanned(layers, width int) string {
	var b strings.Builder
	for layer := range layers {
		for name := range width {
			fmt.Fprintf(&b, "n%d.%d: ", layer, name)
			for next := range width {
				if next > 0 {
					b.WriteString(", ")
				}
				if fmt.Fprintf(&b, "n%d.%d", layer+1, next); layer == layers-1 {
					b.WriteString("@far.example")
				}
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// tree is a table in which every name leads to two of its own, down to mailboxes elsewhere.
func tree(depth int) string {
	var b strings.Builder
	for n := 1; n < 1<<depth; n++ {
		host := ""
		if bits.Len(uint(n)) == depth {
			host = "@far.example"
		}
		fmt.Fprintf(&b, "n%d: n%d%s, n%d%s\n", n, 2*n, host, 2*n+1, host)
	}
	return b.String()
}

// members are n lines of a list.
func members(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format+"\n", i)
	}
	return b.String()
}

// expansion is what a table makes of an address.
type expansion struct {
	about, aliases, list, ask string
	recipients                int
	fails                     string
}

// expansions are tables below, at and above the bounds.
func expansions() []expansion {
	const (
		tooDeep    = "aliases are nested more than 20 deep"
		tooMany    = "expands to more than 10000 addresses"
		tooLooked  = "expands to more than 50000 targets"
		tooNames   = "expands through more than 20000 aliases"
		tooMembers = "more than 10000 members"
	)
	var each, same strings.Builder
	for i := range 10000 {
		fmt.Fprintf(&each, "m%d: v%d@far.example\n", i, i)
		fmt.Fprintf(&same, "m%d: v%d\nv%d: far@far.example\n", i, i, i)
	}
	return []expansion{{about: "a chain of 100", aliases: fanned(100, 1), ask: "n0.0", fails: tooDeep},
		{about: "a chain of 20", aliases: fanned(20, 1), ask: "n0.0", recipients: 1},
		{about: "3 in each of 100 layers", aliases: fanned(100, 3), ask: "n0.0", fails: tooDeep},
		{about: "2^20 ways", aliases: fanned(20, 2), ask: "n0.0", recipients: 2},
		{about: "20^20 ways", aliases: fanned(20, 20), ask: "n0.0", recipients: 20},
		{about: "52^20 ways", aliases: fanned(20, 52), ask: "n0.0", fails: tooLooked},
		{about: "a tree of 11 layers", aliases: tree(11), ask: "n1", recipients: 2048},
		{about: "10,000 members", aliases: "l: :include:DIR/l\n",
			list: members(10000, "v%d@far.example"), ask: "l", recipients: 10000},
		{about: "10,000 members and one more", aliases: "l: :include:DIR/l, another@far.example\n",
			list: members(10000, "v%d@far.example"), ask: "l", fails: tooMany},
		{about: "10,001 members", aliases: "l: :include:DIR/l\n",
			list: members(10001, "v%d@far.example"), ask: "l", fails: tooMembers},
		{about: "10,000 times the same", aliases: "l: :include:DIR/l\n",
			list: strings.Repeat("far@far.example\n", 10000), ask: "l", recipients: 1},
		{about: "members that are aliases", aliases: each.String() + "l: :include:DIR/l\n",
			list: members(10000, "m%d"), ask: "l", recipients: 10000},
		{about: "too many aliases that lead to one", aliases: same.String() + "l: :include:DIR/l\n",
			list: members(10000, "m%d"), ask: "l", fails: tooNames},
	}
}

// What aliases and lists expand to is bounded: by depth, by addresses, and by targets that are
// looked at, whatever they look like; and so is the processor's time, which grows with what the
// bounds allow and not with the number of ways.
func TestExpansionTakesBoundedTime(t *testing.T) {
	const bound = 10 * time.Second // far more than any of them takes; without bounds they would not end
	for _, tt := range expansions() {
		_, c := home(t, listed(t, tt.aliases, map[string]string{"l": tt.list}))
		from := used(t)
		targets, err := Resolve(c, "", parseOrBare(t, tt.ask+"@example.net"), nil)
		took := used(t) - from // the machine may be busy
		switch {
		case tt.fails == "" && (err != nil || len(targets) != tt.recipients):
			t.Errorf("%s: %d recipients, not %d: %v", tt.about, len(targets), tt.recipients, err)
		case tt.fails != "" && (!status.IsTemporary(err) || !strings.Contains(err.Error(), tt.fails)):
			t.Errorf("%s: %v, want %q", tt.about, err, tt.fails)
		}
		t.Logf("%-26s %6d recipients %8.1f ms", tt.about, tt.recipients, took.Seconds()*1000)
		if took > bound {
			t.Errorf("%s took %s", tt.about, took)
		}
	}
}

// used is the time that this process has had of the processors.
func used(t *testing.T) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
