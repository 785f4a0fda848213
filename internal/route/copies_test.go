package route

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"paperpath/internal/spool"
)

// setLimits writes control/limits.
func (p *path) setLimits(text string) {
	p.t.Helper()
	name := filepath.Join(p.home, "control", "limits")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(name, old, old); err != nil {
		p.t.Fatal(err)
	}
}

// TestCopyBytes: a message whose copies would take too much is refused for all
// recipients, at once, whatever its age; a message that needs one copy is not counted.
func TestCopyBytes(t *testing.T) {
	for _, row := range []struct {
		name, limits string
		to           []string
		deliver      int    // entries in deliver/
		says         string // of the report, or of the deferral
	}{
		{"they fit", "copybytes: 100000\n", []string{"team@example.net"}, 2, ""},
		{"too much", "copybytes: 300\n", []string{"team@example.net"}, 0, "too large for so many mailboxes"},
		{"too much with another that failed", "copybytes: 300\n", []string{"team@example.net", "nobody@example.net"}, 0, "too large for so many mailboxes"},
		{"one copy", "copybytes: 300\n", []string{"one@example.net"}, 1, ""},
		{"no copy", "copybytes: 1\n", []string{"alice@example.net"}, 1, ""},
		{"a limit that cannot be read", "copybytes: x\n", []string{"team@example.net"}, 0, "control/limits"},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := newPath(t, "team: alice, bob\none: bob\n")
			p.setLimits(row.limits)
			k := p.accept("alice@example.net", spool.WithLocal, row.to...)
			p.run()
			list, err := p.sp.List(spool.InboxDeliver)
			list = slices.DeleteFunc(list, func(l spool.Listing) bool { return l.Envelope.From.Addr == "" }) // the report
			if err != nil || len(list) != row.deliver {
				t.Errorf("%d in deliver/, want %d: %v", len(list), row.deliver, err)
			}
			said := p.log.String()
			if waits, err := p.sp.List(spool.InboxRoute); err != nil || row.says == "control/limits" && (len(waits) != 1 || waits[0].Key != k) {
				t.Errorf("in route/ are %v, %v", waits, err)
			}
			if !strings.Contains(said, row.says) || row.says == "" && strings.Contains(said, "event=failed") {
				t.Errorf("log: %s", said)
			}
			if bounced := strings.Contains(said, "event=bounced"); bounced != strings.HasPrefix(row.says, "too") {
				t.Errorf("bounced %v: %s", bounced, said)
			}
		})
	}
}

// TestCopies: each mailbox counts once, all other hosts count together, and recipients
// behind an alias, whose copy gets its name, count by themselves.
func TestCopies(t *testing.T) {
	_, c := home(t, map[string]string{"hostname": "mx.example.net\n", "domains": domains, "users": users,
		"aliases": "team: alice, bob, x@elsewhere.example\n"})
	var copies Copies
	for _, row := range []struct {
		to   string
		want int64
		back bool
	}{
		{"alice@example.net", 1, false}, {"ALICE@example.net", 1, false}, {"bob@example.net", 2, true}, {"team@example.net", 3, true},
		{"y@elsewhere.example", 2, false}, {"z@other.example", 2, false}, {"team@example.net", 4, false}, {"bob@example.net", 4, false},
		{"alice+x@example.net", 4, false},
	} {
		targets, err := Resolve(c, "", parseOrBare(t, row.to), nil)
		if err != nil {
			t.Fatal(err)
		}
		n, undo := copies.Add(spool.Recipient{Addr: row.to}, targets)
		if n != row.want {
			t.Errorf("with %s there are %d copies, want %d", row.to, n, row.want)
		}
		if row.back {
			undo()
		}
	}
}

// TestCopyBytesToTheOctet: the copies may take exactly the limit together, and not one
// octet more, however it divides among them.
func TestCopyBytesToTheOctet(t *testing.T) {
	for pad := range 3 {
		p := newPath(t, "team: alice, bob, x@far.example\n")
		p.text = "Subject: x\n\nhello" + strings.Repeat("!", pad) + "\n"
		split := func(limits string) (sum int64) {
			p.setLimits(limits)
			k := p.accept("alice@example.net", spool.WithLocal, "team@example.net")
			p.run()
			for _, in := range []spool.Inbox{spool.InboxDeliver, spool.InboxRelay} {
				list, err := p.sp.List(in)
				if err != nil {
					t.Fatal(err)
				}
				for _, l := range list {
					if strings.HasPrefix(string(l.Key), string(k)) {
						sum += l.Size
					}
				}
			}
			return sum
		}
		sum := split("copybytes: 100000\n")
		if got := split(fmt.Sprintf("copybytes: %d\n", sum)); got != sum || sum == 0 {
			t.Errorf("%d octets of %d are allowed, %d were written", sum, sum, got)
		}
		if got := split(fmt.Sprintf("copybytes: %d\n", sum-1)); got != 0 {
			t.Errorf("%d octets of %d were written", got, sum-1)
		}
	}
}
