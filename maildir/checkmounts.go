package maildir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// between tries what two mounts have to do with each other: of the same directory, by which two
// machines or containers may share it, or of two, between which a queue may rename.
func (t *trial) between() []Property {
	there := filepath.Join(t.opts.Other, filepath.Base(t.dir))
	_, err := os.Stat(there)
	if errors.Is(err, fs.ErrNotExist) {
		return t.twoDirectories()
	}
	list := []attempt{
		{"the other mount: flock is seen there", false, func(t *trial, d string) (string, error) {
			path, err := putFile(d, "lock", "")
			if err != nil {
				return "", err
			}
			return t.lock(path, filepath.Join(there, filepath.Base(d), "lock"))
		}},
		{"the other mount: a rename is seen there", false, func(t *trial, d string) (string, error) {
			path, err := putFile(d, "a", "text")
			if err == nil {
				err = os.Rename(path, filepath.Join(d, "b"))
			}
			if err != nil {
				return "", err
			}
			other := filepath.Join(there, filepath.Base(d))
			return "", errors.Join(onlyName(other, "b"), holds(filepath.Join(other, "b"), "text"))
		}},
		{"the other mount: inotify tells what is done there", true, func(t *trial, d string) (string, error) {
			return "", notices(filepath.Join(there, filepath.Base(d)), d)
		}},
	}
	var found []Property
	for _, a := range list {
		found = append(found, t.run(a))
	}
	return found
}

// twoDirectories tries whether a message can be renamed from one into the other.
func (t *trial) twoDirectories() []Property {
	p := Property{Name: "the other directory: a message moves there by rename", Spared: true}
	path, err := putFile(t.dir, "moved", "text")
	if err == nil {
		var own *trial
		if own, err = newTrial(t.opts.Other, CheckOptions{}); err == nil {
			defer os.RemoveAll(own.dir)
			err = os.Rename(path, filepath.Join(own.dir, "moved"))
		}
	}
	if errors.Is(err, unix.EXDEV) {
		err = fmt.Errorf("%w: it is copied", unix.EXDEV)
	}
	p.Err = err
	return []Property{p}
}
