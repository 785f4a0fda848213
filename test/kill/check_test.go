package kill

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paperpath/test/harness"
)

// check compares what was acknowledged with what is there: in each mailbox, and
// at the next host. Nothing may be lost or torn; copies beyond the first are
// counted.
func check(t *testing.T, h *harness.Home, sink *harness.Sink, f *flow, killed map[string]int) {
	t.Helper()
	found := map[string]map[string]int{elsewhere: atSink(t, sink, f)}
	for _, user := range []string{"alice", "bob"} {
		found[user] = inMailbox(t, h.Mailbox(user))
	}
	found[held] = inHold(t, h)
	lost, doubled := 0, map[string]int{}
	for token, boxes := range f.acknowledged {
		for _, box := range boxes {
			n := found[box][token]
			if n == 0 {
				lost++
				t.Errorf("%s: acknowledged, but not in %s", token, box)
			} else if n > 1 {
				doubled[box] += n - 1
			}
		}
	}
	local := doubled["alice"] + doubled["bob"] + doubled[held]
	harness.Report("measured: kill -9: %v: %d messages acknowledged, %d lost, %d doubled in mailboxes, %d doubled at the next host",
		killed, len(f.acknowledged), lost, local, doubled[elsewhere])
	if local > 0 {
		t.Errorf("%d messages twice in a mailbox", local)
	}
	if len(f.acknowledged) == 0 {
		t.Error("no message was acknowledged at all")
	}
}

// inMailbox counts the tokens in a Maildir.
func inMailbox(t *testing.T, dir string) map[string]int {
	t.Helper()
	counts := map[string]int{}
	names, _ := filepath.Glob(dir + "/[nc][eu][wr]/*")
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		token, whole := tokenOf(data)
		if !whole {
			t.Errorf("%s is torn: %.300q", name, data)
		}
		counts[token]++
	}
	return counts
}

func atSink(t *testing.T, sink *harness.Sink, f *flow) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for _, m := range sink.Received() {
		token, whole := f.tokenAway(m.Data)
		if !whole {
			t.Errorf("torn at the next host: %.300q", m.Data)
		}
		counts[token]++
	}
	for _, wrong := range sink.Wrong() {
		t.Error("at the next host:", wrong)
	}
	return counts
}

// inHold counts the tokens in hold/, where nothing is but what the check holds, with its
// reason.
func inHold(t *testing.T, h *harness.Home) map[string]int {
	t.Helper()
	counts := inMailbox(t, filepath.Join(h.Dir, "spool/hold"))
	for _, name := range h.Glob("spool/hold/new/*") {
		key, _, _ := strings.Cut(filepath.Base(name), ",")
		why, err := os.ReadFile(filepath.Join(h.Dir, "spool/hold/reason", key))
		if err != nil || !strings.HasPrefix(string(why), "check ") || !strings.Contains(string(why), "held: from: 2 From fields") {
			t.Errorf("%s is held for %q, %v", name, why, err)
		}
	}
	return counts
}
