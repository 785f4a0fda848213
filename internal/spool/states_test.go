package spool

import (
	"os"
	"path"
	"strings"
	"testing"
)

// The states of spool(5) are the directories in which the code looks for them.
func TestStatesOfTheManualPage(t *testing.T) {
	page, err := os.ReadFile("../../man/spool.5")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "\n.Ss States\n")
	table, _, _ = strings.Cut(table, "\n.El\n")
	where := map[string]string{}
	for line := range strings.Lines(table) {
		if w := strings.Fields(line); len(w) > 4 && w[0] == ".It" && w[2] == "Ta" && w[3] == "Pa" {
			where[w[1]] = path.Dir(w[4])
		}
	}
	want := map[string]string{"DRAFT": "tmp", "NEW": string(stateNew), "WAITING": string(stateWaiting),
		"HELD": path.Join(string(Hold), string(stateNew)), "STORED": "Maildir/new"}
	if len(where) != len(want) {
		t.Errorf("the page has the states %v", where)
	}
	for name, dir := range want {
		if where[name] != dir {
			t.Errorf("%s is in %q, in the code in %q", name, where[name], dir)
		}
	}
}
