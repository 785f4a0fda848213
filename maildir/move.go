package maildir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// index is a listing, sorted by key, in which to find messages that other programs
// have moved. One listing serves for all messages that moved before it was made: an
// IMAP server moves 100,000 messages from new/ to cur/ at once.
type index []Message

// find returns what m has become: the file with the same name up to the colon, else the
// only one whose sizes do not differ. If several qualify, none is found.
func (x index) find(m Message) (Message, bool) {
	base := m.base()
	byKey := func(a Message, key string) int { return strings.Compare(a.Key, key) }
	i, _ := slices.BinarySearchFunc(x, m.Key, byKey)
	var exact, alike []Message
	for ; i < len(x) && x[i].Key == m.Key; i++ {
		if x[i].base() == base {
			exact = append(exact, x[i])
		} else if m.same(x[i]) {
			alike = append(alike, x[i])
		}
	}
	switch {
	case len(exact) == 1:
		return exact[0], true
	case len(exact) == 0 && len(alike) == 1:
		return alike[0], true
	}
	return Message{}, false
}

// locate returns where m is now, if not where m says. The error is fs.ErrNotExist if
// the message is gone, which takes two listings: one may miss a name that changes
// while the directory is read.
func (d *Dir) locate(m Message) (Message, error) {
	found, known := d.index.find(m)
	if known && (found.Name != m.Name || found.Sub != m.Sub) {
		return found, nil
	}
	for range 2 {
		if d.index != nil && d.earlier != nil && !d.index.has(m) && !d.earlier.has(m) {
			break
		}
		list, err := d.List()
		if err != nil {
			return Message{}, err
		}
		d.earlier, d.index = d.index, list
		if found, known = d.index.find(m); known {
			return found, nil
		}
	}
	return Message{}, fmt.Errorf("message %s in %s: %w", m.Key, d.path, fs.ErrNotExist)
}

func (x index) has(m Message) bool {
	_, known := x.find(m)
	return known
}

// maxRetries bounds how often a message is looked for that another program keeps
// renaming.
const maxRetries = 5

// retryMoved calls do, and again with m corrected if another program has moved it.
func (d *Dir) retryMoved(m *Message, do func() error) error {
	err := do()
	for range maxRetries {
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		found, gone := d.locate(*m)
		if gone != nil {
			return gone
		}
		found.Actual, found.NewKey = m.Actual, m.NewKey
		*m = found
		err = do()
	}
	return err
}

// Open opens a message for reading, even if another program has moved or flagged it:
// it is found by its key. Only a regular file is a message.
func (d *Dir) Open(m *Message) (*os.File, error) {
	var f *os.File
	err := d.retryMoved(m, func() (err error) {
		f, err = d.openRegular(m)
		return err
	})
	return f, err
}

func (d *Dir) openRegular(m *Message) (*os.File, error) {
	f, err := d.sub(m.Sub).OpenFile(m.Name, unix.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	m.Actual = st.Size()
	return f, nil
}

// Remove deletes a message, wherever another program has moved it. The error is
// fs.ErrNotExist if it is gone. Sync makes removals durable.
func (d *Dir) Remove(m *Message) error {
	return d.retryMoved(m, func() error { return d.sub(m.Sub).Remove(m.Name) })
}

// MoveToCur moves a message from new/ to cur/, as mail readers do with what they have
// listed. It is no error if another program was quicker.
func (d *Dir) MoveToCur(m *Message) error {
	if m.Sub == "cur" {
		return nil
	}
	if err := d.rename(m, "cur", m.read()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// AddSizes adds the sizes that a message's name lacks: octets in the file, and octets
// with CRLF line ends.
func (d *Dir) AddSizes(m *Message, size, wire int64) error {
	return d.retryMoved(m, func() error { return d.rename(m, m.Sub, m.sized(size, wire)) })
}

// Move moves a message into another Maildir, such as a folder, on the same file system. It
// keeps its key and its flags. Sync of both makes the move durable.
func (d *Dir) Move(m *Message, to *Dir) error {
	return d.retryMoved(m, func() error { return d.sub(m.Sub).Rename(m.Name, to.sub(m.Sub), m.Name) })
}

func (d *Dir) rename(m *Message, sub, name string) error {
	if sub == m.Sub && name == m.Name {
		return nil
	}
	if err := d.sub(m.Sub).Rename(m.Name, d.sub(sub), name); err != nil {
		return err
	}
	actual := m.Actual
	*m = parse(sub, name)
	m.Actual = actual
	return nil
}

// HasIMAPIndex reports whether an IMAP server identifies the messages by their names
// up to the colon (Dovecot, Courier). To that server a message with another name would
// be a new one.
func (d *Dir) HasIMAPIndex() bool {
	for _, name := range []string{"dovecot-uidlist", "courierimapuiddb"} {
		if _, err := d.self.StatName(name); !errors.Is(err, fs.ErrNotExist) {
			return true
		}
	}
	return false
}
