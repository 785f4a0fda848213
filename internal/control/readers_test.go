package control

import (
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// Each file in control/ has code, other than its row, that reads it, and each
// accessor has a program that calls it: otherwise a setting would be documented that
// changes nothing.
func TestEverySettingIsAskedFor(t *testing.T) {
	code, own := "", "" // own: that of this package
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") ||
			filepath.Base(path) == "rows.go" {
			return err
		}
		text, err := os.ReadFile(path)
		code += string(text)
		if filepath.Dir(path) == "../../internal/control" {
			own += string(text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range Settings() {
		if !strings.Contains(own, `"`+s.Name+`"`) {
			t.Errorf("no accessor of Control reads control/%s", s.Name)
		}
	}
	for m := range reflect.TypeFor[*Control]().Methods() {
		if !strings.Contains(code, "."+m.Name+"(") {
			t.Errorf("no program calls Control.%s", m.Name)
		}
	}
}

// The page of each program that reads a file says so.
func TestReadersSaySo(t *testing.T) {
	for _, s := range Settings() {
		for reader := range strings.SplitSeq(s.Readers, ", ") {
			program, _, _ := strings.Cut(reader, " ")
			page, err := os.ReadFile(filepath.Join("../../man", program+".8"))
			if err != nil {
				continue // several programs together
			}
			if !regexp.MustCompile(`control/` + s.Name + `\b`).Match(page) {
				t.Errorf("%s(8) does not speak of control/%s", program, s.Name)
			}
		}
	}
}

// control(5) says how a line of users names each backend.
func TestPageNamesEveryBackend(t *testing.T) {
	page, err := os.ReadFile("../../man/control.5")
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range backends() {
		if !strings.Contains(string(page), "\n.Dl Cm "+b.name+" : ") {
			t.Errorf("control(5) has no line of the backend %s", b.name)
		}
	}
}
