package maildir

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Deliver stores a message: it is written to tmp/, synced and linked to new/ as name,
// and new/ is synced. name consists of the key and the sizes that write will have
// written. If the name exists, the error is fs.ErrExist and the file stays as it is.
// After any failure nothing is left in tmp/.
func (d *Dir) Deliver(name string, write func(io.Writer) error) error {
	_, err := d.put(name, func(counter) string { return name }, write)
	return err
}

// Store is Deliver for a message whose size is not known in advance. It returns the
// name, which consists of the key and the counted sizes. The lines of the message must
// end with LF.
func (d *Dir) Store(key string, write func(io.Writer) error) (name string, err error) {
	return d.put(key, func(c counter) string {
		return fmt.Sprintf("%s,S=%d,W=%d", key, c.size, c.size+c.breaks)
	}, write)
}

func (d *Dir) put(tmp string, final func(counter) string, write func(io.Writer) error) (name string, err error) {
	f, err := d.draft(tmp)
	if err != nil {
		return "", err
	}
	defer d.tmp.Remove(tmp)
	c := counter{f: f}
	err = write(&c)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return "", err
	}
	name = final(c)
	// The commit point: after it only the sync of the directory can fail.
	if err := d.tmp.Link(tmp, d.new, name); err != nil {
		return "", err
	}
	if err := d.new.Sync(); err != nil {
		return "", errors.Join(err, d.new.Remove(name))
	}
	return name, nil
}

// draft makes the file in tmp/. A file of that name was left by a crash and is removed:
// the name belongs to this message, so nobody else is writing it.
func (d *Dir) draft(name string) (*os.File, error) {
	f, err := d.tmp.Create(name, 0o600)
	if !errors.Is(err, fs.ErrExist) {
		return f, err
	}
	if err := d.tmp.Remove(name); err != nil {
		return nil, err
	}
	return d.tmp.Create(name, 0o600)
}

// counter counts octets and line ends as they are written to the file.
type counter struct {
	f            *os.File
	size, breaks int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.f.Write(p)
	c.size += int64(n)
	c.breaks += int64(bytes.Count(p[:n], []byte("\n")))
	return n, err
}
