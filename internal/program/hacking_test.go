package program

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// hackingPage is HACKING.md.
func hackingPage(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../HACKING.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// TestHackingHasEveryPackage: the table on the page lists the packages of floors,
// each on its floor.
func TestHackingHasEveryPackage(t *testing.T) {
	got := map[string]int{}
	for _, row := range regexp.MustCompile("(?m)^\\| (\\d+) \\| (`[^|]+) \\|").FindAllStringSubmatch(hackingPage(t), -1) {
		floor, err := strconv.Atoi(row[1])
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range strings.Split(row[2], ", ") {
			got[strings.Trim(name, "`")] = floor
		}
	}
	want := map[string]int{}
	for floor, list := range floors {
		for _, name := range list {
			want[name] = floor
		}
	}
	for name, floor := range want {
		if at, ok := got[name]; !ok || at != floor {
			t.Errorf("%s is on floor %d; HACKING.md has it: %v, on floor %d", name, floor, ok, at)
		}
	}
	for name := range maps.Keys(got) {
		if _, ok := want[name]; !ok {
			t.Errorf("HACKING.md has the package %s, which is not there", name)
		}
	}
}

// TestHackingNamesWhatIsThere: every `pkg.Func`, `pkg.Type.Method`, `path/to/file` and
// TestName on the page exists.
func TestHackingNamesWhatIsThere(t *testing.T) {
	page := hackingPage(t)
	there := declared(t)
	symbol := regexp.MustCompile(`^[a-z0-9]+(\.[A-Za-z]\w*){1,2}$`)
	file := regexp.MustCompile(`^[\w.-]+(/[\w.-]+)+$`)
	named := 0
	for _, m := range regexp.MustCompile("`([^`\n]+)`").FindAllStringSubmatch(page, -1) {
		switch name := strings.TrimSuffix(m[1], "/"); {
		case symbol.MatchString(name):
			named++
			if !there[name] {
				t.Errorf("there is no %s", name)
			}
		case file.MatchString(name) && !strings.HasPrefix(name, "control/"): // those are in a home
			named++
			if _, err := os.Stat(filepath.Join("../..", name)); err != nil {
				t.Error(err)
			}
		}
	}
	for _, name := range regexp.MustCompile(`\bTest[A-Z]\w+`).FindAllString(page, -1) {
		named++
		if !there[name] {
			t.Errorf("there is no %s", name)
		}
	}
	if named < 150 {
		t.Errorf("%d names", named)
	}
}

// declared has "pkg.Func", "pkg.Type" and "pkg.Type.Method" of all packages, and the
// names of all tests.
func declared(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, top := range []string{"cmd", "internal", "maildir", "test"} {
		err := filepath.WalkDir(filepath.Join("../..", top), func(name string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(name, ".go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			pkg := path.Base(path.Dir(name))
			for _, d := range file.Decls {
				for _, symbol := range symbols(d) {
					if strings.HasSuffix(name, "_test.go") {
						names[symbol] = true
					} else {
						names[pkg+"."+symbol] = true
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return names
}

// symbols are the functions, methods and types of a declaration.
func symbols(d ast.Decl) (list []string) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil {
			return []string{d.Name.Name}
		}
		return []string{receiver(d.Recv.List[0].Type) + "." + d.Name.Name}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			if s, ok := spec.(*ast.TypeSpec); ok {
				list = append(list, s.Name.Name)
			}
		}
	}
	return list
}

// receiver is the type's name, without * and type parameters.
func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}
