package maildir

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// Store is Deliver for a message whose size is not known before it is written.
// It returns the name: the key and the sizes that were counted. write gets
// lines that end with LF.
func (d *Dir) Store(key string, write func(io.Writer) error) (name string, err error) {
	f, err := d.tmp.Create(key, 0o600)
	if err != nil {
		return "", err
	}
	defer d.tmp.Remove(key)
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
	name = fmt.Sprintf("%s,S=%d,W=%d", key, c.size, c.size+c.breaks)
	// The commit point. After it only the directory's sync can fail.
	if err := d.tmp.Link(key, d.new, name); err != nil {
		return "", err
	}
	if err := d.new.Sync(); err != nil {
		return "", errors.Join(err, d.new.Remove(name))
	}
	return name, nil
}

// counter counts octets and line ends on their way into the file.
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
