package maildir

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestWay: the Maildir at the end of a way that is walked in two steps is the one that Complete
// accepts, and nothing else is.
func TestWay(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(home string) error
		enter error // of the home; nil: none
		open  bool  // the Maildir can be opened
		gone  bool  // it counts as missing
	}{
		"whole":       {func(string) error { return nil }, nil, true, false},
		"no home":     {os.RemoveAll, fs.ErrNotExist, false, false},
		"no Maildir":  {func(h string) error { return os.RemoveAll(h + "/Maildir") }, nil, false, true},
		"no tmp":      {func(h string) error { return os.Remove(h + "/Maildir/tmp") }, nil, false, true},
		"no new":      {func(h string) error { return os.Remove(h + "/Maildir/new") }, nil, false, true},
		"no cur":      {func(h string) error { return os.Remove(h + "/Maildir/cur") }, nil, false, true},
		"tmp is open": {func(h string) error { return os.Chmod(h+"/Maildir/tmp", 0o777) }, nil, false, false},
		"new is open": {func(h string) error { return os.Chmod(h+"/Maildir/new", 0o777) }, nil, false, false},
		"box is open": {func(h string) error { return os.Chmod(h+"/Maildir", 0o777) }, nil, false, false},
		"tmp is a link": {func(h string) error {
			return errors.Join(os.Remove(h+"/Maildir/tmp"), os.Symlink("new", h+"/Maildir/tmp"))
		}, nil, false, false},
		"tmp is a file": {func(h string) error {
			return errors.Join(os.Remove(h+"/Maildir/tmp"), os.WriteFile(h+"/Maildir/tmp", nil, 0o600))
		}, nil, false, false},
		"new is a link": {func(h string) error {
			return errors.Join(os.Remove(h+"/Maildir/new"), os.Symlink("cur", h+"/Maildir/new"))
		}, nil, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			base := t.TempDir()
			home := filepath.Join(base, "example.net/alice")
			if err := errors.Join(os.MkdirAll(home, 0o700), Create(home+"/Maildir"), tt.spoil(home)); err != nil {
				t.Fatal(err)
			}
			p := Place{Base: base, Rel: "example.net/alice/Maildir", UID: os.Geteuid()}
			there, wrong := p.Complete()
			if there != tt.open {
				t.Errorf("Complete: %v, %v", there, wrong)
			}
			w, err := p.Enter("example.net/alice")
			if tt.enter != nil {
				if !errors.Is(err, tt.enter) {
					t.Errorf("Enter: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			d, err := w.Open()
			if (err == nil) != tt.open || errors.Is(err, fs.ErrNotExist) != tt.gone {
				t.Fatalf("Open: %v", err)
			}
			if err != nil {
				return
			}
			defer d.Close()
			if name, err := d.Store("k", func(w io.Writer) error { _, err := w.Write([]byte("a\n")); return err }); err != nil || name != "k,S=2,W=3" {
				t.Errorf("%q, %v", name, err)
			}
			for _, key := range []string{"k", "k"} { // a second reading begins anew
				if m, err := d.Find(key); err != nil || m.Sub != "new" {
					t.Errorf("%+v, %v", m, err)
				}
			}
			if _, err := d.Find("other"); !errors.Is(err, fs.ErrNotExist) {
				t.Error(err)
			}
		})
	}
}
