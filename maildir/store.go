package maildir

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"paperpath/internal/dir"
)

// Delivery is a message on its way into a Maildir. It is written to tmp/, and nobody sees it
// before Commit. Abort may be deferred: after Commit it does nothing.
type Delivery struct {
	d    *Dir
	key  string // and the name in tmp/
	file counter
	err  error // the first failure: final
	done bool
}

// Begin begins the delivery of a message, whose key no other message may have: see NewKey.
// A file that an earlier delivery of the same message has left in tmp/ is removed.
func (d *Dir) Begin(key string) (*Delivery, error) {
	if strings.ContainsAny(key, ",:") {
		return nil, fmt.Errorf("%q is no key: it has a comma or a colon", key)
	}
	return d.begin(key)
}

func (d *Dir) begin(tmp string) (*Delivery, error) {
	f, err := d.draft(tmp)
	if err != nil {
		return nil, err
	}
	return &Delivery{d: d, key: tmp, file: counter{f: f}}, nil
}

// Write appends to the message, whose lines must end with LF.
func (v *Delivery) Write(p []byte) (int, error) {
	if v.err != nil {
		return 0, v.err
	}
	n, err := v.file.Write(p)
	v.err = err
	return n, err
}

// Commit makes the message durable, links it into new/ and makes that durable, too. It returns
// the name, which consists of the key and the counted sizes. If the name exists, the error is
// fs.ErrExist and the file stays as it is. After any failure nothing of the message is left.
func (v *Delivery) Commit() (name string, err error) {
	c := v.file
	name = fmt.Sprintf("%s,S=%d,W=%d", v.key, c.size, c.size+c.breaks)
	return name, v.commit(name)
}

func (v *Delivery) commit(name string) error {
	if v.done {
		return errors.New("the delivery has ended")
	}
	defer v.Abort()
	if v.err != nil {
		return v.err
	}
	err := v.file.f.Sync()
	if closed := v.file.f.Close(); err == nil {
		err = closed
	}
	if v.file.f = nil; err != nil {
		return err
	}
	// The commit point: after it only the sync of the directory can fail.
	if err := v.d.tmp.Link(v.key, v.d.new, name); err != nil {
		return err
	}
	if err := v.d.new.Sync(); err != nil {
		return errors.Join(err, v.d.new.Remove(name))
	}
	return nil
}

// Abort ends the delivery and removes what is in tmp/.
func (v *Delivery) Abort() {
	if v.done {
		return
	}
	v.done = true
	if v.file.f != nil {
		v.file.f.Close()
	}
	v.d.tmp.Remove(v.key)
}

// Deliver stores a message: it is written to tmp/, synced and linked to new/ as name,
// and new/ is synced. name consists of the key and the sizes that write will have
// written. If the name exists, the error is fs.ErrExist and the file stays as it is.
// After any failure nothing is left in tmp/.
func (d *Dir) Deliver(name string, write func(io.Writer) error) error {
	v, err := d.begin(name)
	if err != nil {
		return err
	}
	defer v.Abort()
	if err := write(v); err != nil {
		return err
	}
	return v.commit(name)
}

// Store is Deliver for a message whose size is not known in advance. It returns the
// name, which consists of the key and the counted sizes. The lines of the message must
// end with LF.
func (d *Dir) Store(key string, write func(io.Writer) error) (name string, err error) {
	v, err := d.Begin(key)
	if err != nil {
		return "", err
	}
	defer v.Abort()
	if err := write(v); err != nil {
		return "", err
	}
	return v.Commit()
}

// draft makes the file in tmp/. A file of that name was left by a crash and is removed:
// the name belongs to this message, so nobody else is writing it.
func (d *Dir) draft(name string) (*dir.File, error) {
	tmp, err := d.drafts()
	if err != nil {
		return nil, err
	}
	f, err := tmp.Create(name, d.fileMode())
	if !errors.Is(err, fs.ErrExist) {
		return f, err
	}
	if err := tmp.Remove(name); err != nil {
		return nil, err
	}
	return tmp.Create(name, d.fileMode())
}

// counter counts octets and line ends as they are written to the file.
type counter struct {
	f            *dir.File
	size, breaks int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.f.Write(p)
	c.size += int64(n)
	c.breaks += int64(bytes.Count(p[:n], []byte("\n")))
	return n, err
}
