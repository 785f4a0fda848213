package maildir

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strings"
	"testing"
)

// The library is public, so nothing that it exports has a type of an internal package, or of
// the library below it, whose place another one may take.
func TestNoInternalTypeIsExported(t *testing.T) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	exported := 0
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".go") || strings.HasSuffix(file.Name(), "_test.go") {
			continue
		}
		code, err := parser.ParseFile(token.NewFileSet(), file.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range code.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || !f.Name.IsExported() {
				continue
			}
			exported++
			ast.Inspect(f.Type, func(n ast.Node) bool {
				x, ok := n.(*ast.SelectorExpr)
				if ok && slices.Contains([]string{"dir", "gomaildir", "maildirpp", "unix"}, x.X.(*ast.Ident).Name) {
					t.Errorf("%s has the type %s", f.Name.Name, x.Sel.Name)
				}
				return true
			})
		}
	}
	if exported == 0 {
		t.Error("no exported function was found")
	}
}
