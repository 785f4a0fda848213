package control

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Each setting of ours that paperpath-migrate(7) puts beside another mail system's exists,
// and so does each of its keys; of most of ours somebody comes from something.
func TestMigratedSettingsExist(t *testing.T) {
	page, err := os.ReadFile("../../man/paperpath-migrate.7")
	if err != nil {
		t.Fatal(err)
	}
	keys := documentedKeys(t)
	named := map[string]bool{}
	for line := range strings.SplitSeq(string(page), "\n") {
		_, ours, isRow := strings.Cut(line, " Ta ")
		if !isRow {
			continue
		}
		for _, m := range regexp.MustCompile(`Pa control/(\S+)(?: Cm (\S+))?`).FindAllStringSubmatch(ours, -1) {
			named[m[1]] = true
			if byName()[m[1]] == nil {
				t.Errorf("paperpath-migrate(7) names control/%s, which there is not: %s", m[1], line)
			} else if m[2] != "" && !slices.Contains(keys[m[1]], m[2]) {
				t.Errorf("paperpath-migrate(7) names %s of control/%s, which has only %q: %s", m[2], m[1],
					keys[m[1]], line)
			}
		}
	}
	if len(named) < 40 {
		t.Errorf("only %d settings were understood: rows are .It theirs Ta Pa control/NAME Cm KEY", len(named))
	}
}

// documentedKeys are the keys of each setting that control(5) lists. TestKeysAreDocumented
// and the like hold that page against the parsers.
func documentedKeys(t *testing.T) map[string][]string {
	t.Helper()
	page, err := os.ReadFile("../../man/control.5")
	if err != nil {
		t.Fatal(err)
	}
	keys, name := map[string][]string{}, ""
	for line := range strings.SplitSeq(string(page), "\n") {
		if heading, ok := strings.CutPrefix(line, ".Ss "); ok {
			name = heading
		}
		if list, ok := strings.CutPrefix(line, ".It Cm "); ok {
			for key := range strings.SplitSeq(list, " , ") {
				keys[name] = append(keys[name], key)
			}
		}
	}
	return keys
}
