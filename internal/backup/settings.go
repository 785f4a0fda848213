package backup

import (
	"os"
	"path"
	"path/filepath"
)

// control copies the settings. A link in them is copied as what it leads to: the copy is
// to work on another machine. What it leads to may be outside the home, where only its
// administrator puts it.
func (w *writer) control() error {
	return w.settings("control")
}

func (w *writer) settings(name string) error {
	real := filepath.Join(w.from.Name(), filepath.FromSlash(name))
	st, err := os.Stat(real)
	if err != nil {
		return err
	}
	if err := w.to.Mkdir(name, 0o700); err != nil {
		return err
	}
	names, err := os.ReadDir(real)
	if err != nil {
		return err
	}
	for _, e := range names {
		if err := w.setting(path.Join(name, e.Name())); err != nil {
			return err
		}
	}
	d, err := w.to.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	return alike(d, st)
}

// setting copies a file or a directory of settings.
func (w *writer) setting(name string) error {
	real := filepath.Join(w.from.Name(), filepath.FromSlash(name))
	st, err := os.Stat(real)
	switch {
	case os.IsNotExist(err):
		w.leftOut(name, "a link to a file that is not there")
		return nil
	case err != nil:
		return err
	case st.IsDir():
		return w.settings(name)
	case !st.Mode().IsRegular():
		w.leftOut(name, "not a regular file")
		return nil
	}
	in, err := os.Open(real)
	if err != nil {
		return err
	}
	defer in.Close()
	if st, err = in.Stat(); err != nil {
		return err
	}
	c, err := w.content(in, st, name)
	if err != nil {
		return err
	}
	return w.record(c)
}
