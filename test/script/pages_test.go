package script

import (
	"os"
	"regexp"

	"github.com/rogpeppe/go-internal/testscript"

	"paperpath/test/pages"
)

// cmdBlock writes the commands of a block of README or of a page's EXAMPLES to FILE, what
// the page says that they print to FILE.out.
func cmdBlock(ts *testscript.TestScript, args []string) {
	all, err := pages.Blocks("../..")
	ts.Check(err)
	b, err := pages.Find(all, args[0], args[1])
	ts.Check(err)
	commands, output := b.Commands(), b.Output()
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(commands), 0o700))
	ts.Check(os.WriteFile(ts.MkAbs(args[2]+".out"), []byte(output), 0o600))
}

// cmdShown compares standard output with FILE.out of a block.
func cmdShown(ts *testscript.TestScript, args []string) {
	want := ts.ReadFile(args[0] + ".out")
	got := ts.ReadFile("stdout")
	re := pages.Shown(want, map[string]string{"/srv/pp": ts.Getenv("PAPERPATH_HOME")})
	if want == "" || !regexp.MustCompile(re).MatchString(got) {
		ts.Fatalf("standard output\n%s\nis not what the page says\n%s", got, want)
	}
}
