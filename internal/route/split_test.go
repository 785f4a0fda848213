package route

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"paperpath/internal/spool"
)

// The address of a blind copy is in no file but its own: no mailbox, no peer and no
// report gets it.
func TestBlindCopiesStayBlind(t *testing.T) {
	p := newPath(t, "team: bob, far@y.example, dead\n")
	hidden := []string{"bob@example.net", "carol@example.net", "nobody@example.net", "dead@example.net", "team@example.net"}
	p.accept(sender, spool.WithLocal, "bob@example.net", "carol@example.net", "nobody@example.net",
		"far@x.example", "team@example.net")
	p.run()
	files := p.files()
	if len(files) != 6 { // bob, carol, dead, a report, x.example, and y.example by way of team
		t.Errorf("%d files: %v", len(files), p.heads())
	}
	for name, data := range files {
		var found []string
		// The owner of a mailbox may see by which alias of ours they were reached.
		data = bytes.Replace(data, []byte("X-Original-To: team@example.net\n"), nil, 1)
		for _, address := range hidden {
			if bytes.Contains(data, []byte(address)) {
				found = append(found, address)
			}
		}
		_, content, _ := bytes.Cut(data, []byte("\nReceived: "))
		relay := strings.HasPrefix(name, "relay/")
		isTeam := bytes.Contains(data, []byte("far@y.example"))
		switch {
		case isTeam && !slices.Equal(found, []string{"team@example.net"}), relay && !isTeam && len(found) > 0, !relay && len(found) != 1:
			t.Errorf("%s holds %q", name, found)
		case isTeam && !bytes.Contains(content, []byte("\nDelivered-To: team@example.net\nFrom: ")):
			t.Errorf("%s has no trace below our Received", name)
		case relay && bytes.Contains(content, []byte("far@")):
			t.Errorf("%s names its recipients below the envelope", name)
		}
	}
}

// files returns all entries of the spool.
func (p *path) files() map[string][]byte {
	p.t.Helper()
	all := map[string][]byte{}
	for _, in := range spool.Inboxes() {
		for _, sub := range []string{"new", "cur"} {
			dir := filepath.Join(p.home, "spool", string(in), sub)
			names, err := os.ReadDir(dir)
			if err != nil {
				p.t.Fatal(err)
			}
			for _, n := range names {
				data, err := os.ReadFile(filepath.Join(dir, n.Name()))
				if err != nil {
					p.t.Fatal(err)
				}
				all[string(in)+"/"+sub+"/"+n.Name()] = data
			}
		}
	}
	return all
}

// A crash between the children and the end of their parent: the parent is
// there again, and its children are not made twice.
func TestSplitIsRepeatable(t *testing.T) {
	p := newPath(t, "team: bob, carol\n")
	p.accept(sender, spool.WithLocal, "team@example.net", "a@x.example", "nobody@example.net")
	var parent string
	for name := range p.files() {
		parent = name
	}
	data := p.files()[parent]
	p.run()
	first := p.files()
	if len(first) != 4 { // bob, carol, relay, report
		t.Fatalf("%d files: %q", len(first), p.heads())
	}
	if err := os.WriteFile(filepath.Join(p.home, "spool", parent), data, 0o600); err != nil {
		t.Fatal(err)
	}
	p.run()
	if diff := cmp.Diff(keys(first), keys(p.files())); diff != "" {
		t.Error(diff)
	}
}

func keys(files map[string][]byte) []string {
	var list []string
	for name := range files {
		list = append(list, regexp.MustCompile(`,.*`).ReplaceAllString(name, ""))
	}
	slices.Sort(list)
	return list
}

func TestDoneRecipientsAreLeftOut(t *testing.T) {
	p := newPath(t, "")
	p.accept(sender, spool.WithLocal, "bob@example.net", "carol@example.net", "a@x.example")
	var d [2]Decision
	p.handle(func(_ context.Context, e *spool.Entry) spool.Outcome {
		e.Envelope.To[0].Done, e.Envelope.To[2].Done = true, true
		d[0] = Decide(p.stage.Control, e, time.Now(), nil)
		e.Envelope.To[1].Done = true
		d[1] = Decide(p.stage.Control, e, time.Now(), nil)
		return p.stage.Handle(context.Background(), e)
	})
	want := [2]Decision{{Routed: []int{1}, Children: []spool.Child{{Inbox: spool.InboxDeliver, From: spool.Path{Addr: sender},
		To: []spool.Recipient{{Addr: "carol@example.net"}}}}}}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Error(diff)
	}
	p.want()
}
