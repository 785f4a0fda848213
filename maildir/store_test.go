package maildir

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestStoreCountsWhileItWrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "Maildir")
	if err := Create(path); err != nil {
		t.Fatal(err)
	}
	d, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	store := func(text string, fail error) (string, error) {
		return d.Store("1.M1R1.mx", func(w io.Writer) error {
			for _, b := range []byte(text) {
				if _, err := w.Write([]byte{b}); err != nil {
					return err
				}
			}
			return fail
		})
	}
	if _, err := store("half", io.ErrUnexpectedEOF); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the writer's error became %v", err)
	}
	name, err := store("Subject: x\n\nhello\n", nil)
	if err != nil || name != "1.M1R1.mx,S=18,W=21" {
		t.Fatalf("%q, %v", name, err)
	}
	// The same name again: neither replaced nor lost.
	if _, err := store("Subject: y\n\nhello\n", nil); !errors.Is(err, os.ErrExist) {
		t.Errorf("a name that exists: %v", err)
	}
	data, err := os.ReadFile(filepath.Join(path, "new", name))
	if err != nil || string(data) != "Subject: x\n\nhello\n" {
		t.Errorf("%q, %v", data, err)
	}
	for sub, want := range map[string]int{"tmp": 0, "new": 1, "cur": 0} {
		if names, _ := os.ReadDir(filepath.Join(path, sub)); len(names) != want {
			t.Errorf("%s has %d files", sub, len(names))
		}
	}
}
