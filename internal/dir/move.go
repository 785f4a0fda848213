package dir

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

// Rename moves name to newName in to. If newName exists, the error is fs.ErrExist and
// nothing changes.
func (d *Dir) Rename(name string, to *Dir, newName string) error {
	if err := errors.Join(plain(name), plain(newName)); err != nil {
		return d.fail("rename", name, err)
	}
	if err := d.between(to, "rename", name); err != nil {
		return err
	}
	err := retry(func() error {
		return unix.Renameat2(d.fd, name, to.fd, newName, unix.RENAME_NOREPLACE)
	})
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		// The file system has no RENAME_NOREPLACE: link(2) replaces nothing either.
		if err := d.Link(name, to, newName); err != nil {
			return err
		}
		return d.Remove(name)
	}
	if err != nil {
		return fmt.Errorf("rename %s to %s: %w", d.Join(name), to.Join(newName), err)
	}
	return nil
}

// Replace moves name to newName in to, in place of a file of that name: for files that say
// only what can be counted again.
func (d *Dir) Replace(name string, to *Dir, newName string) error {
	if err := errors.Join(plain(name), plain(newName)); err != nil {
		return d.fail("rename", name, err)
	}
	if err := d.between(to, "rename", name); err != nil {
		return err
	}
	err := retry(func() error { return unix.Renameat(d.fd, name, to.fd, newName) })
	if err != nil {
		return fmt.Errorf("rename %s to %s: %w", d.Join(name), to.Join(newName), err)
	}
	return nil
}

// Link gives the file name a second name, newName in to. If newName exists, the error is
// fs.ErrExist and nothing changes.
func (d *Dir) Link(name string, to *Dir, newName string) error {
	if err := errors.Join(plain(name), plain(newName)); err != nil {
		return d.fail("link", name, err)
	}
	if err := d.between(to, "link", name); err != nil {
		return err
	}
	err := retry(func() error { return unix.Linkat(d.fd, name, to.fd, newName, 0) })
	if err != nil {
		return fmt.Errorf("link %s to %s: %w", d.Join(name), to.Join(newName), err)
	}
	return nil
}

// Remove unlinks name.
func (d *Dir) Remove(name string) error {
	if err := plain(name); err != nil {
		return d.fail("unlink", name, err)
	}
	if d.fd == noDir {
		return d.absent("unlink", name)
	}
	if err := retry(func() error { return unix.Unlinkat(d.fd, name, 0) }); err != nil {
		return d.fail("unlink", name, err)
	}
	return nil
}

// Sync makes the names of the directory durable.
func (d *Dir) Sync() error {
	if d.fd == noDir {
		return nil
	}
	if err := retry(func() error { return unix.Fsync(d.fd) }); err != nil {
		return &fs.PathError{Op: "sync", Path: d.path, Err: err}
	}
	return nil
}
