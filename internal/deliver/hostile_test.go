package deliver

import (
	"testing"

	"paperpath/internal/spool"
)

// TestHostileExtensions: an extension that anybody writes does not end the program, whatever
// its letters become when they are folded.
func TestHostileExtensions(t *testing.T) {
	for _, ext := range []string{"\u023a-", "\u0130.\u023a--", "\u212a-\u023a-"} {
		p := newFixture(t)
		p.ownHome(map[string]string{".qmail-lists": "&carol@y.example\n"})
		p.accept(spool.InboxDeliver, "alice+"+ext+"@example.net")
		p.stageRun(spool.InboxDeliver, p.stage.Handle)
		if got := p.places(); got != "inbox 1" {
			t.Errorf("%q: %s\n%s", ext, got, p.log.String())
		}
	}
}
