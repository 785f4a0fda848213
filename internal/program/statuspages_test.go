package program

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"
)

// The exit statuses that a page names are those that the scripts of test/script see the
// program exit with, each of them, and no other one.
func TestExitStatusesAreSeen(t *testing.T) {
	seen := scriptStatuses(t)
	for _, name := range []string{"mailsubmit", "mailcheck", "mailroute", "maildeliver", "mailrelay", "pop3d", "mailctl"} {
		page, err := os.ReadFile(filepath.Join("../../man", name+".8"))
		if err != nil {
			t.Fatal(err)
		}
		part := regexp.MustCompile(`(?s)\n\.Sh EXIT STATUS\n(.*?)\n\.Sh `).FindSubmatch(page)
		if part == nil {
			t.Errorf("%s(8) has no EXIT STATUS", name)
			continue
		}
		named := map[int]bool{}
		for _, m := range regexp.MustCompile(`(?m)^\.It (\d+)$`).FindAllSubmatch(part[1], -1) {
			n, _ := strconv.Atoi(string(m[1]))
			named[n] = true
		}
		for _, n := range slices.Sorted(maps.Keys(named)) {
			if !seen[name][n] {
				t.Errorf("%s(8) names the exit status %d, which no script sees", name, n)
			}
		}
		for _, n := range slices.Sorted(maps.Keys(seen[name])) {
			if !named[n] {
				t.Errorf("scripts see %s exit with %d, which %[1]s(8) does not name", name, n)
			}
		}
	}
}

// scriptStatuses are the exit statuses that scripts want of each program, by lines such as
// "status 65 mailctl check"; sendmail, mailq and newaliases have the page of mailsubmit.
func scriptStatuses(t *testing.T) map[string]map[int]bool {
	t.Helper()
	scripts, err := filepath.Glob("../../test/script/testdata/*.txtar")
	if err != nil || len(scripts) < 50 {
		t.Fatalf("%d scripts (%v)", len(scripts), err)
	}
	links := map[string]string{"sendmail": "mailsubmit", "mailq": "mailsubmit", "newaliases": "mailsubmit"}
	line := regexp.MustCompile(`(?m)^status (\d+) (?:setpriv .*?)?\b(mailsubmit|sendmail|mailq|newaliases|` +
		`mailcheck|mailroute|maildeliver|mailrelay|pop3d|mailctl)\b`)
	seen := map[string]map[int]bool{}
	for _, path := range scripts {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range line.FindAllStringSubmatch(string(text), -1) {
			name := m[2]
			if program := links[name]; program != "" {
				name = program
			}
			if seen[name] == nil {
				seen[name] = map[int]bool{}
			}
			n, _ := strconv.Atoi(m[1])
			seen[name][n] = true
		}
	}
	return seen
}
