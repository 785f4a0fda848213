package program

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A program that maillog(5) says writes an event has code in it that does.
func TestWrittenByIsTrue(t *testing.T) {
	page, err := os.ReadFile("../../man/maillog.5")
	if err != nil {
		t.Fatal(err)
	}
	imports := packages(t)
	callers := calls(t, imports)
	found := 0
	entry := regexp.MustCompile(`(?m)^\.It Cm (\S+) Ar .*\nWritten by (.*)\.$`)
	for _, m := range entry.FindAllStringSubmatch(string(page), -1) {
		found++
		list := callers[method(m[1])]
		for _, program := range writers(m[2]) {
			parts := closure(imports, "cmd/"+program, map[string]bool{})
			if !slices.ContainsFunc(list, func(name string) bool { return parts[name] }) {
				t.Errorf("maillog(5): %s is written by %s, but only %q call it", m[1], program, list)
			}
		}
	}
	if events := strings.Count(string(page), "\nWritten by "); found != events || found < 20 {
		t.Errorf("%d of %d entries of maillog(5) were understood: each is .It Cm NAME Ar values, then Written by PROGRAM, PROGRAM.", found, events)
	}
}

// method is the name of the method of maillog.Log that writes an event.
func method(event string) string {
	name := ""
	for word := range strings.SplitSeq(event, "-") {
		name += strings.ToUpper(word[:1]) + word[1:]
	}
	return name
}

// writers are the programs that a "Written by" names.
func writers(text string) (programs []string) {
	if text == "all programs" || text == "all programs that stay" {
		return nil
	}
	for _, word := range regexp.MustCompile(`[a-z0-9]+`).FindAllString(text, -1) {
		switch word {
		case "stages":
			programs = append(programs, "mailcheck", "mailroute", "maildeliver", "mailrelay")
		case "all", "and", "the", "other":
		default:
			programs = append(programs, word)
		}
	}
	return programs
}

// calls finds the packages whose code outside tests calls each method of the log.
func calls(t *testing.T, imports map[string][]string) map[string][]string {
	t.Helper()
	call := regexp.MustCompile(`[lL]og\.(\w+)\(`)
	found := map[string][]string{}
	for name := range imports {
		files, err := filepath.Glob("../../" + name + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range call.FindAllStringSubmatch(string(text), -1) {
				found[m[1]] = append(found[m[1]], name)
			}
		}
	}
	return found
}

// closure adds to parts what a package imports, and what that imports.
func closure(imports map[string][]string, name string, parts map[string]bool) map[string]bool {
	if parts[name] {
		return parts
	}
	parts[name] = true
	for _, imported := range imports[name] {
		if ours, ok := strings.CutPrefix(imported, "paperpath/"); ok {
			closure(imports, ours, parts)
		}
	}
	return parts
}
