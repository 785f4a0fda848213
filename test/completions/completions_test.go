package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"paperpath/test/harness"
)

var bin harness.Programs

func TestMain(m *testing.M) { os.Exit(harness.Main(m, &bin)) }

// typed is what a user has typed before they press TAB, and words that must and must not
// be offered then.
var typed = []struct {
	words   []string
	offered string
	not     string
}{
	{[]string{"mailctl", ""}, "queue", "retry"},
	{[]string{"mailctl", "queue", "re"}, "retry", "queue"},
	{[]string{"mailctl", "queue", "retry", "--d"}, "--dry-run", "--reason"},
	{[]string{"mailctl", "--home", "/x", "user", ""}, "passwd", "queue"},
	{[]string{"mailrelay", "pr"}, "probe", "explain"},
	{[]string{"sendmail", "--rec"}, "--recipients", "--json"},
}

// written makes the files from the programs, once for all shells.
func written(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := run(string(bin), dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// shell returns the path of a shell, or reports that it is missing.
func shell(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if harness.Missing(name + " (completion)") {
			t.Fatal(name + " is missing")
		}
		t.Skip(name + " is missing")
	}
	return path
}

func offers(t *testing.T, cmd *exec.Cmd, words []string, offered, not string) {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v\n%s", words, err, out)
	}
	got := map[string]bool{}
	for _, line := range strings.Split(string(out), "\n") {
		word, _, _ := strings.Cut(line, "\t")
		got[word] = true
	}
	if !got[offered] || got[not] {
		t.Errorf("%q offers %s, wanted %s and not %s", words, out, offered, not)
	}
}

func TestBash(t *testing.T) {
	bash, dir := shell(t, "bash"), written(t)
	for _, c := range typed {
		script := `. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _paperpath_` + c.words[0] +
			`; printf '%s\n' "${COMPREPLY[@]}"`
		args := append([]string{"-c", script, filepath.Join(dir, "bash", c.words[0])}, c.words...)
		offers(t, exec.Command(bash, args...), c.words, c.offered, c.not)
	}
}

func TestFish(t *testing.T) {
	fish, dir := shell(t, "fish"), written(t)
	for _, c := range typed {
		// fish completes only what it finds in PATH.
		script := "set -x PATH $argv[1] $PATH; source $argv[2]; complete -C $argv[3]"
		cmd := exec.Command(fish, "--no-config", "-c", script, string(bin),
			filepath.Join(dir, "fish", c.words[0]+".fish"), strings.Join(c.words, " "))
		cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
		offers(t, cmd, c.words, c.offered, c.not)
	}
}

// zsh offers words only on a terminal; what it would offer is read from the functions
// that it calls.
func TestZsh(t *testing.T) {
	zsh, dir := shell(t, "zsh"), written(t)
	for _, c := range typed {
		script := `_describe() { local a; for a in "$@"; do
	case $a in -o|option|verb) ;; *) print -l -- ${${(P)a}%%:*} ;; esac; done }
_files() { : }
words=("$@"); CURRENT=$#; PREFIX=${words[CURRENT]}
() { source $FILE }`
		cmd := exec.Command(zsh, append([]string{"-f", "-c", script, "zsh"}, c.words...)...)
		cmd.Env = append(os.Environ(), "FILE="+filepath.Join(dir, "zsh", "_"+c.words[0]))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%q: %v\n%s", c.words, err, out)
		}
		last := c.words[len(c.words)-1]
		kept := ""
		for _, word := range strings.Fields(string(out)) {
			if strings.HasPrefix(word, last) {
				kept += word + "\n"
			}
		}
		offers(t, exec.Command("printf", "%s", kept), c.words, c.offered, c.not)
	}
}
