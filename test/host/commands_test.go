package host

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"paperpath/test/pages"
)

// TestCommands runs the blocks of README and of the pages that the script names.
func TestCommands(t *testing.T) {
	faces := filepath.Join(repository(t), ".build", "faces", "openbsd-inetd")
	if _, err := os.Stat(faces); err != nil {
		missing(t, ".build/faces (test/faces/fetch.sh makes it)")
	}
	faces, err := filepath.EvalSymlinks(filepath.Dir(faces))
	if err != nil {
		t.Fatal(err)
	}
	boot(t, "commands", 55, "--bind-ro="+writeBlocks(t)+":/test/blocks", "--bind-ro="+faces+":/test/faces")
}

// writeBlocks writes each block to PAGE/N.text, and its commands to PAGE/N.
func writeBlocks(t *testing.T) string {
	t.Helper()
	all, err := pages.Blocks(repository(t))
	if err != nil {
		t.Fatal(err)
	}
	top := t.TempDir()
	for _, dir := range []string{filepath.Dir(top), top} { // all users read them
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for i, b := range all {
		file := filepath.Join(top, b.Page, fmt.Sprint(i))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{file: b.Commands(), file + ".text": b.Text} {
			if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return top
}
