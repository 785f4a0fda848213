package route

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/status"
)

// Whatever the aliases say: Resolve ends, names nothing twice, and what it calls a
// mailbox is one for maildeliver too, which asks again.
func TestRandomAliases(t *testing.T) {
	names := []string{"alice", "alice+x", "alice+y", "bob", "a", "b", "a+x", "dead", "postmaster", "mailer-daemon", "root"}
	dir, _ := home(t, map[string]string{"domains": domains, "users": users})
	rapid.Check(t, func(t *rapid.T) {
		table := rapid.MapOfN(rapid.SampledFrom(names),
			rapid.SliceOfN(rapid.SampledFrom(append([]string{"x@x.example", "ALICE", "alice@example.com"}, names...)), 1, 4), 0, 8).Draw(t, "aliases")
		var text strings.Builder
		for name, targets := range table {
			text.WriteString(name + ": " + strings.Join(targets, ", ") + "\n")
		}
		if err := os.WriteFile(filepath.Join(dir, "control", "aliases"), []byte(text.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		c := control.Open(dir, func() time.Time { return time.Now().Add(time.Hour) })
		for _, name := range names {
			resolveAndCheck(t, c, addr.Address{Local: name, Domain: "example.net"})
		}
	})
}

func resolveAndCheck(t *rapid.T, c *control.Control, a addr.Address) {
	targets, err := Resolve(c, "", a, nil)
	if always(a) && status.Exit(err) == status.NoMailbox {
		t.Errorf("%s is refused: %v", a, err)
	}
	if err == nil && len(targets) == 0 {
		t.Errorf("%s has neither targets nor an error", a)
	}
	seen := map[string]bool{}
	for _, target := range targets {
		if k := key(target.Addr); seen[k] {
			t.Errorf("%s names %s twice", a, target.Addr)
		} else {
			seen[k] = true
		}
		if target.Kind != Local {
			continue
		}
		if u, err := Mailbox(c, target.Addr); err != nil || u == nil {
			t.Errorf("%s leads to %s, which has no mailbox (%v)", a, target.Addr, err)
		}
	}
}
