package host

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTutorial runs the commands of paperpath-tutorial(7) on the machine as they are
// written there, and then uses what they have made.
func TestTutorial(t *testing.T) {
	needs(t, "systemd-nspawn", "make", "dpkg-deb")
	page, err := os.ReadFile(filepath.Join(repository(t), "man", "paperpath-tutorial.7"))
	if err != nil {
		t.Fatal(err)
	}
	commands := rootCommands(string(page))
	if len(commands) != 10 {
		t.Fatalf("the tutorial has not ten commands but %d: %q", len(commands), commands)
	}
	dir := t.TempDir()
	build(t, dir, "")
	list := filepath.Join(dir, "commands")
	if err := os.WriteFile(list, []byte(strings.Join(commands, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	machine(t, "tutorial", 30, "--boot", "--bind-ro="+dir+":/package")
}

// rootCommands are the commands in a page that begin with root's prompt, one a line.
func rootCommands(page string) (commands []string) {
	open := false
	for line := range strings.SplitSeq(page, "\n") {
		text, first := strings.CutPrefix(line, "# ")
		if !first && !open {
			continue
		}
		text, open = strings.CutSuffix(text, `\e`)
		if first {
			commands = append(commands, "")
		}
		commands[len(commands)-1] += text
	}
	return commands
}
