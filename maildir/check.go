package maildir

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// A Property is something that this package, and a queue that uses the same operations, rely
// on, and what was found out about it.
type Property struct {
	Name   string // what was tried: "link never replaces"
	Err    error  // what went wrong; nil: it is as it must be
	Detail string // more about it, "" for nothing
	Spared bool   // Err costs speed or comfort only: there is another way
}

// CheckOptions say what Check cannot know by itself.
type CheckOptions struct {
	// Other is a directory on another mount: the same directory there, or another one into
	// which messages are to be renamed; "" for none.
	Other string
	// Locked asks another process whether the file path is locked; nil: nobody is asked.
	Locked func(path string) (bool, error)
}

// Check tries in a new directory below dir what durable delivery needs of the file system, and
// leaves nothing behind. The error says why it could not try. That what was synced survives a
// power cut, no program can find out.
func Check(dir string, opts CheckOptions) (found []Property, err error) {
	t, err := newTrial(dir, opts)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(t.dir)) }()
	for _, try := range trials() {
		found = append(found, t.run(try))
	}
	if opts.Other != "" {
		found = append(found, t.between()...)
	}
	return found, nil
}

// trial is one Check.
type trial struct {
	dir  string // its own
	opts CheckOptions
	n    int // names given
}

// attempt is one property, and the function that tries it in a fresh directory.
type attempt struct {
	name   string
	spared bool
	try    func(t *trial, dir string) (detail string, err error)
}

func newTrial(dir string, opts CheckOptions) (*trial, error) {
	if info, err := os.Stat(dir); err != nil {
		return nil, err
	} else if !info.IsDir() {
		return nil, &os.PathError{Op: "look into", Path: dir, Err: errors.New("not a directory")}
	}
	own := filepath.Join(dir, ".fscheck."+rand.Text())
	if err := os.Mkdir(own, 0o700); err != nil {
		return nil, err
	}
	return &trial{dir: own, opts: opts}, nil
}

func (t *trial) run(a attempt) (p Property) {
	p = Property{Name: a.name, Spared: a.spared}
	dir, err := t.fresh()
	if err == nil {
		p.Detail, err = a.try(t, dir)
	}
	p.Err = err
	return p
}

// fresh makes a directory.
func (t *trial) fresh() (string, error) {
	t.n++
	dir := filepath.Join(t.dir, fmt.Sprint("d", t.n))
	return dir, os.Mkdir(dir, 0o700)
}

// put makes a file with a text.
func putFile(dir, name, text string) (string, error) {
	path := filepath.Join(dir, name)
	return path, os.WriteFile(path, []byte(text), 0o600)
}

// holds returns an error if a file has another text.
func holds(path, want string) error {
	text, err := os.ReadFile(path)
	if err == nil && string(text) != want {
		err = fmt.Errorf("%s has %.40q, not %q", filepath.Base(path), text, want)
	}
	return err
}
