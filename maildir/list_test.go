package maildir

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// The order is that of a plain sort by key and base in which cur/ comes first,
// whatever the names share.
func TestListingOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`(1700000)?[0-9a,.\xff]{0,10}[a-c](:2,S?)?`)
		inNew := rapid.SliceOfDistinct(name, rapid.ID).Draw(t, "new")
		inCur := rapid.SliceOfDistinct(name, func(s string) string { b, _, _ := strings.Cut(s, ":"); return b }).Draw(t, "cur")
		var want []Message
		var arena strings.Builder
		for _, n := range inNew {
			if strings.Contains(n, ":") {
				continue // two of one base in new/ are as good as each other
			}
			arena.WriteString(n + "\x00")
			want = append(want, parse("new", n))
		}
		l := listing{inNew: arena.Len()}
		for _, n := range inCur {
			arena.WriteString(n + "\x00")
			want = append(want, parse("cur", n))
		}
		l.names = arena.String()
		slices.SortFunc(want, func(a, b Message) int {
			return cmp.Or(strings.Compare(a.Key, b.Key), strings.Compare(a.base(), b.base()), strings.Compare(a.Sub, b.Sub))
		})
		if got := l.messages(); !slices.Equal(got, want) {
			t.Fatalf("got  %v\nwant %v", got, want)
		}
	})
}

// many makes a Maildir of n empty messages, named as maildeliver names them.
func many(t testing.TB, n int) *Dir {
	t.Helper()
	path := filepath.Join(t.TempDir(), "Maildir")
	if err := Create(path); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		name := fmt.Sprintf("%d.M%06dR%016x.mx,S=4711,W=4803:2,S", 1700000000+i, i*7919%1000000, uint64(i+1)*0x9e3779b97f4a7c15)
		if err := os.WriteFile(filepath.Join(path, "cur", name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// A listing makes nothing for a single message: what 5,000 take, some dozens of slices, does
// not grow with their number but by doubling.
func TestListingAllocatesForNoMessage(t *testing.T) {
	d := many(t, 5000)
	made := testing.AllocsPerRun(5, func() {
		if list, err := d.List(); err != nil || len(list) != 5000 {
			t.Fatal(len(list), err)
		}
	})
	if made > 100 {
		t.Errorf("listing 5,000 messages allocates %v times", made)
	}
}

// BenchmarkList lists 100,000 messages.
func BenchmarkList(b *testing.B) {
	const n = 100_000
	d := many(b, n)
	b.ReportAllocs()
	for b.Loop() {
		if list, err := d.List(); err != nil || len(list) != n {
			b.Fatal(len(list), err)
		}
	}
}
