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

// Every name that a program passes to Limit or Concurrency is one that the file can
// have, and control(5) lists it.
func TestAskedNamesAreKnown(t *testing.T) {
	asked := regexp.MustCompile(`\.(Limit|Concurrency)\("([a-z0-9]+)"`)
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range asked.FindAllStringSubmatch(string(text), -1) {
			known := names(limitKeys())
			if m[1] == "Concurrency" {
				known = names(concurrencyKeys())
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
