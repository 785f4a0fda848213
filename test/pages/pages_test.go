package pages

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The scripts run blocks by these words.
var (
	inScripts = regexp.MustCompile(`(?m)^block (\S+) '([^'\n]+)'`)
	onHost    = regexp.MustCompile(`(?m)\$\(block (\S+) ['"]([^"\n]+?)['"]\)`)
	notRun    = regexp.MustCompile(`(?m)^([^#\s]\S*) \| (.+?) \| (.+)$`)
)

// Every block of commands is run by a script, or a reason stands in testdata/not-run why not.
func TestEveryBlockIsRun(t *testing.T) {
	const root = "../.."
	blocks, err := Blocks(root)
	if err != nil || len(blocks) < 60 {
		t.Fatalf("%d blocks, %v", len(blocks), err)
	}
	by := map[int][]string{}
	note := func(page, words, where string) {
		b, err := Find(blocks, page, words)
		if err != nil {
			t.Errorf("%s: %v", where, err)
			return
		}
		for i := range blocks {
			if blocks[i] == b {
				by[i] = append(by[i], where)
			}
		}
	}
	for _, how := range []struct {
		files string
		call  *regexp.Regexp
	}{
		{"test/script/testdata/*.txtar", inScripts}, {"test/host/testdata/*", onHost}, {"test/pages/testdata/not-run", notRun},
	} {
		files, _ := filepath.Glob(filepath.Join(root, how.files))
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range how.call.FindAllStringSubmatch(string(text), -1) {
				note(m[1], m[2], filepath.Base(f))
			}
		}
	}
	for i, b := range blocks {
		switch where := strings.Join(by[i], " "); {
		case where == "":
			t.Errorf("%s: no test runs this:\n%s", b.Page, b.Text)
		case strings.Contains(where, "not-run") && where != "not-run":
			t.Errorf("%s: run (%s), but testdata/not-run says why not:\n%s", b.Page, where, b.Text)
		}
	}
}

func TestParse(t *testing.T) {
	got := indented("# x\n\ntext\n    no code\n\n    a\n      b\n\n    c\n- item\n\n      deep\n\n```\n    picture\n```\n")
	if want := []string{"a\n  b\n\nc\n", "deep\n"}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%q, want %q", got, want)
	}
	got = displays(".Sh X\n.Dl no\n.Sh EXAMPLES\ntext\n.Dl a \\(dqb\\(dq\n.Bd -literal -offset indent\n$ x \\e\n    y\nz\n.Ed\n.Sh SEE\n.Dl no\n")
	if want := []string{"a \"b\"\n", "$ x \\\n    y\nz\n"}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%q, want %q", got, want)
	}
	b := Block{Text: got[1]}
	if b.Commands() != "x \\\n    y\n" || b.Output() != "z\n" {
		t.Errorf("%q, %q", b.Commands(), b.Output())
	}
	if re := regexp.MustCompile(Shown("at /srv/pp: ...\n", map[string]string{"/srv/pp": "/w"})); !re.MatchString("at /w: fine") {
		t.Error(re)
	}
}
