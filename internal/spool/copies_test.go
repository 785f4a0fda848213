package spool

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"paperpath/maildir"
)

// TestForwardAfterTheMailbox: what also goes to others is forwarded once, however often the
// mailbox, or a copy, cannot be stored before.
func TestForwardAfterTheMailbox(t *testing.T) {
	for _, missing := range []string{"Maildir", "Copies", ""} {
		f := newFixture(t)
		for _, name := range []string{"Maildir", "Copies"} {
			if name != missing {
				if err := maildir.Create(filepath.Join(f.home, name)); err != nil {
					t.Fatal(err)
				}
			}
		}
		deliver := func(_ context.Context, e *Entry) Outcome {
			o := DeliverTo(filepath.Join(f.home, "Maildir"))
			o.Copies = []string{filepath.Join(f.home, "Copies")}
			o.Children = []Child{{Inbox: InboxRoute, From: e.Envelope.From, To: []Recipient{{Addr: "carol@far.example"}}}}
			return o
		}
		relayed := 0
		relay := func(context.Context, *Entry) Outcome {
			relayed++
			return DropBecause("relayed")
		}
		f.accept(InboxDeliver, "From: a@b\n\nx\n", "bob@example.net")
		for try := range 3 {
			if try == 2 && missing != "" {
				if err := maildir.Create(filepath.Join(f.home, missing)); err != nil {
					t.Fatal(err)
				}
			}
			f.run(InboxDeliver, deliver)
			f.run(InboxRoute, relay)
			f.time = f.time.Add(12 * time.Hour)
		}
		if relayed != 1 || len(f.files()) != 0 {
			t.Errorf("without %q: forwarded %d times, %q", missing, relayed, f.files())
		}
		for _, name := range []string{"Maildir", "Copies"} {
			if list, err := filepath.Glob(filepath.Join(f.home, name, "new", "*")); len(list) != 1 || err != nil {
				t.Errorf("without %q: %s has %v, %v", missing, name, list, err)
			}
		}
	}
}
