package script

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// trial is a testscript.T that only notes whether a script failed.
type trial struct {
	*testing.T
	failed *bool
}

func (t trial) Run(name string, f func(testscript.T)) {
	t.T.Run(name, func(sub *testing.T) { f(trial{sub, t.failed}) })
}
func (t trial) Verbose() bool { return false }
func (t trial) Parallel()     {}
func (t trial) Log(...any)    {}
func (t trial) FailNow()      { *t.failed = true; t.T.SkipNow() }
func (t trial) Fatal(...any)  { t.FailNow() }

// testscript takes its own command where we give one of the same name, without
// a word: a stop of ours ended the script there, and it passed.
func TestNoWordIsTestscriptsOwn(t *testing.T) {
	for name := range commands() {
		if !isOurs(t, name) {
			t.Errorf("testscript has a command %s of its own, and takes that", name)
		}
	}
	if isOurs(t, "stop") {
		t.Error("this test does not see that testscript has a stop")
	}
}

// isOurs says whether testscript runs a command that we give by this name.
func isOurs(t *testing.T, name string) bool {
	file := filepath.Join(t.TempDir(), name+".txtar")
	if err := os.WriteFile(file, []byte(name+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	ran := false
	note := func(*testscript.TestScript, bool, []string) { ran = true }
	testscript.RunT(trial{t, new(bool)}, testscript.Params{Files: []string{file},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){name: note}})
	return ran
}

// A use that asserts nothing must not pass for one that does.
func TestWordsRefuseWhatTheyWouldIgnore(t *testing.T) {
	for name, script := range map[string]string{
		"negated":           "! glob 1 *.none",
		"too_many":          "glob 0 *.none *.txtar",
		"too_few":           "glob 0",
		"no_such_directory": "glob 0 hoem/spool/*",
		"unknown_mode":      "sink NEXT rcpt5x",
		"unknown_new_mode":  "sink NEXT ok\nsinkmode-NEXT rcpt5x",
		"no_expectation":    "sink NEXT ok\ndialog $NEXT says\n-- says --\n> QUIT",
		"exit_status":       "dialog exec eof false\n-- eof --\n<EOF",
		"not_started":       "terminate",
		"unclean_end":       "home alice\nstart\nexec kill -9 $STARTPID",
	} {
		file := filepath.Join(t.TempDir(), name+".txtar")
		if err := os.WriteFile(file, []byte(script+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		failed := false
		testscript.RunT(trial{t, &failed}, testscript.Params{Files: []string{file}, Setup: setup, Cmds: commands()})
		if !failed {
			t.Errorf("%s passes:\n%s", name, script)
		}
	}
}

var (
	section = regexp.MustCompile(`(?m)^-- (.+) --$`)
	// A script that must not go on says so with skip, and missing before it.
	givesUp = regexp.MustCompile(`(?m)^ *(\[.*\] *)?stop\b`)
	// ! exec passes too when there is no such program: status N says what is meant.
	anyFailure = regexp.MustCompile(`(?m)^ *(\[.*\] *)?! *exec\b.*`)
	skips      = regexp.MustCompile(`(?m)^ *((?:\[.*\] *)?)skip\b.*`)
	pattern    = regexp.MustCompile(`(?m)^ *(?:\[.*\] *)?(?:stdout|stderr|grep|waitfor grep) ` +
		`(?:-count=\d+ )?('(?:[^']|'')*'|\S+)(?: \S+)?$`)
)

// The scripts themselves: what is written there must be able to fail.
func TestScriptsAssert(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, fault := range faults(string(data)) {
			t.Errorf("%s: %s", name, fault)
		}
	}
}

func faults(text string) (all []string) {
	files := section.FindAllStringSubmatch(text, -1)
	script := text
	if len(files) > 0 {
		script = text[:section.FindStringIndex(text)[0]]
	}
	if givesUp.MatchString(script) {
		all = append(all, "stop ends it there, and it passes (terminate ends what start began)")
	}
	if line := anyFailure.FindString(script); line != "" {
		all = append(all, line+": passes for any reason (status N)")
	}
	for _, m := range skips.FindAllStringSubmatch(script, -1) {
		if m[1] == "" || !strings.Contains(script, m[1]+"missing ") {
			all = append(all, m[0]+": nothing missing is said under the same condition")
		}
	}
	for _, m := range pattern.FindAllStringSubmatch(script, -1) {
		expr := strings.ReplaceAll(strings.Trim(m[1], "'"), "''", "'")
		if re, err := regexp.Compile("(?m)" + expr); err == nil && re.MatchString("") {
			all = append(all, m[0]+": matches nothing at all")
		}
	}
	for _, f := range files {
		if !regexp.MustCompile(`(^|[^\w])` + regexp.QuoteMeta(f[1]) + `($|[^\w])`).MatchString(script) {
			all = append(all, f[1]+" is used nowhere")
		}
	}
	return all
}

// Each of these passes for a test and is none.
func TestFaultsAreSeen(t *testing.T) {
	for script, want := range map[string]string{
		"stop\n":                            "stop ends it",
		"[!root] stop\n":                    "stop ends it",
		"! exec mailctl nonsense\n":         "any reason",
		"skip\n":                            "nothing missing",
		"[!root] skip 'no'\n":               "nothing missing",
		"stdout '^$|x'\n":                   "matches nothing",
		"grep -count=1 x* file\n":           "matches nothing",
		"stdin a\n-- a --\nx\n-- b --\nx\n": "b is used nowhere",
	} {
		if got := faults(script); len(got) != 1 || !strings.Contains(got[0], want) {
			t.Errorf("%q: %q, want %s", script, got, want)
		}
	}
	if got := faults("[!root] missing root\n[!root] skip root\nstdout 'a'\n"); len(got) != 0 {
		t.Errorf("%q", got)
	}
}
