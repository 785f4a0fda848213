package control

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Every name that a program asks Limit or Concurrency for is one that the
// file can have, and control(5) says so.
func TestAskedNamesAreKnown(t *testing.T) {
	asked := regexp.MustCompile(`\.(Limit|Concurrency)\("([a-z0-9]+)"`)
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range asked.FindAllStringSubmatch(string(text), -1) {
			known := limitNames()
			if m[1] == "Concurrency" {
				known = concurrencyNames()
			}
			if !slices.Contains(known, m[2]) {
				t.Errorf("%s asks %s for %q", path, m[1], m[2])
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestPageNamesEverything(t *testing.T) {
	page, err := os.ReadFile("../../man/control.5")
	if err != nil {
		t.Fatal(err)
	}
	for name := range newFixture(t, nil).readers() {
		if !strings.Contains(string(page), "\n.Ss "+name+"\n") {
			t.Errorf("control(5) has no section for %s", name)
		}
		if !regexp.MustCompile(`(?m)^\.It ` + name + ` Ta`).Match(page) {
			t.Errorf("control(5) has no %s in its table", name)
		}
	}
	for _, name := range append(limitNames(), concurrencyNames()...) {
		if !strings.Contains(string(page), "\n.It Cm "+name+"\n") {
			t.Errorf("control(5) does not explain %s", name)
		}
	}
}

// control(5) says which files count later than from the next attempt or session:
// those that programs ask for at their start or at SIGHUP, and no other.
func TestPageSaysWhatIsReadAtTheStart(t *testing.T) {
	page, err := os.ReadFile("../../man/control.5")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(page), "\nThese are read at a program's start instead:\n")
	list, _, _ = strings.Cut(list, "\n.El\n")
	said := map[string]string{}
	for _, item := range strings.Split(list, "\n.It Pa ")[1:] {
		name, text, _ := strings.Cut(item, "\n")
		said[name] = text
	}
	readers := newFixture(t, nil).readers()
	atHangup := map[string]bool{ // too
		"hostname": true, "reserve": true, "tls": true, "services": true, "root": false, "runtime": false,
	}
	for name, too := range atHangup {
		if readers[name] == nil && name != "tls" {
			t.Errorf("there is no %s", name)
		}
		text, ok := said[name]
		if !ok || !strings.Contains(text, "start") || strings.Contains(text, "SIGHUP") != too {
			t.Errorf("of %s control(5) says %q", name, text)
		}
	}
	for name := range said {
		if _, ok := atHangup[name]; !ok {
			t.Errorf("control(5) says that %s is read at the start", name)
		}
	}
}

func TestFold(t *testing.T) {
	for in, want := range map[string]string{"ABC": "abc", "ÄB": "Äb", "\xffA": "\xffa", "": ""} {
		if got := Fold(in); got != want {
			t.Errorf("Fold(%q) = %q", in, got)
		}
	}
	for in, want := range map[string]string{"MX.Example": "mx.example", "BÜCHER.example": "xn--bcher-kva.example",
		"\xff.example": "\xff.example", "[IPv6:::1]": "[ipv6:::1]"} {
		if got := FoldDomain(in); got != want {
			t.Errorf("FoldDomain(%q) = %q", in, got)
		}
	}
}
