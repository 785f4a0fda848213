package route

import (
	"testing"

	"paperpath/internal/addr"
)

// mostAllocations is for one address that an alias leads to a mailbox.
const mostAllocations = 130

// resolved returns a function that resolves such an address.
func resolved(t testing.TB) func() error {
	t.Helper()
	_, c := home(t, map[string]string{"domains": domains, "users": users, "aliases": "info: bob\n"})
	info := addr.Address{Local: "info", Domain: "example.net"}
	return func() error {
		_, err := Resolve(c, "", info, nil)
		return err
	}
}

// TestResolveAllocations bounds what a routing decision allocates, which no machine changes.
func TestResolveAllocations(t *testing.T) {
	resolve := resolved(t)
	n := testing.AllocsPerRun(100, func() {
		if err := resolve(); err != nil {
			t.Fatal(err)
		}
	})
	t.Logf("%.0f allocations", n)
	if n > mostAllocations {
		t.Errorf("an address takes %.0f allocations, more than %d", n, mostAllocations)
	}
}

func BenchmarkResolve(b *testing.B) {
	resolve := resolved(b)
	b.ReportAllocs()
	for b.Loop() {
		if err := resolve(); err != nil {
			b.Fatal(err)
		}
	}
}
