package deliver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"paperpath/internal/route"
	"paperpath/internal/spool"
)

// graph is a table of aliases among a few names, and who of them has a mailbox.
type graph struct {
	rows  map[string][]string
	boxes map[string]bool
}

// The names of a graph, and how a target may name them.
var graphNames = []string{"a", "b", "c", "d", "e", "f", "g", "h"}

func drawGraph(t *rapid.T) graph {
	g := graph{rows: map[string][]string{}, boxes: map[string]bool{}}
	names := graphNames[:rapid.IntRange(1, len(graphNames)).Draw(t, "names")]
	target := rapid.Custom(func(t *rapid.T) string {
		form := rapid.SampledFrom([]string{"%s", "%s", "%s", "%s", "%s+x", "%s+y", `\%s`, "%s@x.example"}).Draw(t, "form")
		return fmt.Sprintf(form, rapid.SampledFrom(names).Draw(t, "target"))
	})
	for _, n := range names {
		if rapid.Bool().Draw(t, "mailbox "+n) {
			g.boxes[n] = true
		}
		for _, form := range []string{n, n + "+x"} {
			if form == n && rapid.IntRange(0, 3).Draw(t, "alias "+form) > 0 || form != n && rapid.IntRange(0, 7).Draw(t, "alias "+form) == 0 {
				g.rows[form] = rapid.SliceOfNDistinct(target, 1, 4, rapid.ID).Draw(t, form)
			}
		}
	}
	return g
}

// found is what mail for one address leads to.
type found map[string]bool

// walk tries every way from a on which no row is passed twice. A name that is
// come by again stands for its mailbox: this is what the pages promise, written
// down in the most simple-minded way.
func (g graph) walk(a string, passed []string, out found) {
	bare, own := strings.CutPrefix(a, `\`)
	base, _, _ := strings.Cut(bare, "+")
	row := bare
	if g.rows[row] == nil {
		row = base
	}
	switch {
	case strings.HasSuffix(a, "@x.example"):
		out[bare] = true
	case own || g.rows[row] == nil || slices.Contains(passed, row):
		if g.boxes[base] {
			out[base] = true
		} else {
			out["dead "+base] = true
		}
	default:
		for _, target := range g.rows[row] {
			g.walk(target, append(passed[:len(passed):len(passed)], row), out)
		}
	}
}

// expect is what becomes of one message for all of these addresses.
func (g graph) expect(to []string) []string {
	all := found{}
	for _, a := range to {
		one := found{}
		g.walk(a, nil, one)
		alive := func(k string) bool { return !strings.HasPrefix(k, "dead ") }
		if !slices.ContainsFunc(slices.Collect(maps.Keys(one)), alive) {
			base, _, _ := strings.Cut(a, "+")
			one = found{"dead " + base: true}
		}
		maps.Copy(all, one)
	}
	return slices.Sorted(maps.Keys(all))
}

// Whatever the aliases say: every run ends, each mailbox and each address at
// another host that can be reached gets the message once, and each dead name is
// reported once.
func TestAliasGraphs(t *testing.T) {
	p := newFixture(t)
	p.sender = "sender@example.net"
	p.text = "Subject: the message\n\nhello\n"
	p.write("limits", "bounces: 1000000\n")
	rapid.Check(t, func(t *rapid.T) {
		g := drawGraph(t)
		asked := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) string {
			return rapid.SampledFrom(graphNames).Draw(t, "name") + rapid.SampledFrom([]string{"", "", "+x"}).Draw(t, "extension")
		}), 1, 3, rapid.ID).Draw(t, "to")
		got := p.send(t, g, asked)
		if diff := cmp.Diff(g.expect(asked), got); diff != "" {
			t.Errorf("mail for %q (-want +got):\n%s", asked, diff)
		}
	})
}

// send sends one message through all stages and returns where it came to.
func (p *fixture) send(t *rapid.T, g graph, asked []string) []string {
	var users, aliases strings.Builder
	users.WriteString("sender@example.net:\n")
	for n := range g.boxes {
		fmt.Fprintf(&users, "%s@example.net:\n", n)
	}
	for n, targets := range g.rows {
		fmt.Fprintf(&aliases, "%s: %s\n", n, strings.Join(targets, ", "))
	}
	p.write("users", users.String())
	p.write("aliases", aliases.String())
	var to []string
	for _, a := range asked {
		to = append(to, a+"@example.net")
	}
	p.time = time.Now()
	p.accept(spool.InboxRoute, to...)
	// Far more than it needs, far less than a loop takes.
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var got []string
	relay := func(_ context.Context, e *spool.Entry) spool.Outcome {
		for _, r := range e.Envelope.To {
			got = append(got, r.Addr)
		}
		return spool.DropBecause("test")
	}
	router := &route.Stage{Control: p.control, Settle: p.settler.Settle, Now: p.settler.Now}
	for round := range 4 { // the second is for reports, the others for what is believed for a day
		if round == 2 {
			p.time = p.time.Add(25 * time.Hour)
		}
		for _, at := range []struct {
			in spool.Inbox
			h  spool.Handler
		}{{spool.InboxRoute, router.Handle}, {spool.InboxDeliver, p.stage.Handle}, {spool.InboxRelay, relay}} {
			r := &spool.Runner{Spool: p.sp, Inbox: at.in, Handle: at.h, Retry: p.control.Retry}
			if err := r.Run(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := ctx.Err(); err != nil {
		t.Fatalf("the run does not end: %v", err)
	}
	got = append(got, p.harvest(t)...)
	slices.Sort(got)
	return got
}

var finalRecipient = regexp.MustCompile(`(?m)^Final-Recipient: rfc822; ([a-z]+)(\+[a-z])?@example.net$`)

// harvest takes the messages out of the mailboxes: whose they were, and which
// dead names the reports tell of. Two extensions of a name are one there.
func (p *fixture) harvest(t *rapid.T) (got []string) {
	reported := map[string]bool{}
	files, err := filepath.Glob(filepath.Join(p.home, "mail/example.net/*/Maildir/new/*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		box := filepath.Base(filepath.Dir(filepath.Dir(filepath.Dir(path))))
		if box != "sender" {
			got = append(got, box)
		}
		for _, m := range finalRecipient.FindAllStringSubmatch(string(text), -1) {
			if whole := m[1] + m[2]; reported[whole] {
				t.Errorf("two reports about %s", whole)
			} else {
				reported[whole] = true
			}
			if dead := "dead " + m[1]; !slices.Contains(got, dead) {
				got = append(got, dead)
			}
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if left := p.left(t); len(left) > 0 {
		t.Errorf("left in the spool: %q", left)
	}
	return got
}

// left lists the entries of the spool.
func (p *fixture) left(t *rapid.T) (list []string) {
	for _, in := range spool.Inboxes() {
		entries, err := p.sp.List(in)
		if err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		for _, l := range entries {
			list = append(list, fmt.Sprintf("%s %v %s", in, l.Envelope.To, l.LastReason))
		}
	}
	return list
}
