package spool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"paperpath/internal/dir"
	"paperpath/maildir"
)

// Copy is what a mailbox gets of an entry, for a process that may open the mailbox but not the
// spool: it has the file of the entry open for reading, and this.
type Copy struct {
	Key     string
	Head    string // the envelope as the mailbox shows it
	Results int64  // where our result fields begin in the file
	Message int64  // where the message as it came begins
	Size    int64  // octets of the file
	Derived bool   // the key names a decision: bytes need not be equal where it comes again

	Octets, Inodes int64 // that stay free (control/reserve)
}

// Copy returns what a mailbox gets of the entry. So much is to stay free there.
func (e *Entry) Copy(octets, inodes int64) Copy {
	return Copy{Key: string(e.Key), Head: e.mailboxHead(), Results: e.head.results, Message: e.head.end, Size: e.Size,
		Derived: e.derived(), Octets: octets, Inodes: inodes}
}

// ReadOnly returns a descriptor of the entry's file by which nothing can be changed.
func (e *Entry) ReadOnly() (*os.File, error) { return ReadOnly(e.file.Fd()) }

// ReadOnly returns another descriptor of an open file, for reading.
func ReadOnly(fd int) (*os.File, error) {
	return os.Open(fmt.Sprintf("/proc/self/fd/%d", fd))
}

// Len is how many octets the mailbox gets.
func (c Copy) Len() int64 { return int64(len(c.Head)) + c.Size - c.Results }

// WithResults is Entry.WithResults.
func (c Copy) WithResults(file io.ReaderAt) *io.SectionReader {
	return io.NewSectionReader(file, c.Results, c.Size-c.Results)
}

// Incoming is Entry.Message.
func (c Copy) Incoming(file io.ReaderAt) *io.SectionReader {
	return io.NewSectionReader(file, c.Message, c.Size-c.Message)
}

func (c Copy) bytes(file io.ReaderAt) io.Reader {
	return io.MultiReader(strings.NewReader(c.Head), c.WithResults(file))
}

// Store puts the copy into the Maildir path, durably, unless it or one of the others has it
// already. stored is false then. taken is the path of another message that has its key.
func (c Copy) Store(file io.ReaderAt, path string, others ...string) (stored bool, taken string, err error) {
	for _, at := range append([]string{path}, others...) {
		found, where, err := c.in(file, at)
		if err != nil || found != absent {
			return false, map[answer]string{other: where}[found], err
		}
	}
	md, err := maildir.Open(path)
	if err != nil {
		return false, "", err
	}
	defer md.Close()
	name, err := md.Store(c.Key, func(w io.Writer) error {
		_, err := io.Copy(KeepReserve(c.Octets, c.Inodes, path, w), c.bytes(file))
		return err
	})
	if errors.Is(err, fs.ErrExist) { // another delivery has just put it there
		found, where, err := c.in(file, path)
		return false, map[answer]string{other: where}[found], err
	}
	if err != nil {
		return false, "", err
	}
	// The message is stored. What is not counted is found by the next count.
	_ = md.CountQuota(name)
	return true, "", nil
}

// in answers for the message with the key in a Maildir.
func (c Copy) in(file io.ReaderAt, path string) (answer, string, error) {
	md, err := maildir.OpenReadOnly(path)
	if errors.Is(err, fs.ErrNotExist) {
		return absent, "", nil
	}
	if err != nil {
		return absent, "", err
	}
	defer md.Close()
	m, err := md.Find(c.Key)
	if errors.Is(err, fs.ErrNotExist) {
		return absent, "", nil
	}
	if err != nil {
		return absent, "", err
	}
	where := filepath.Join(md.Path(), m.Sub, m.Name)
	if c.Derived {
		return same, where, nil
	}
	f, err := md.Open(&m)
	if errors.Is(err, dir.ErrNotRegular) {
		return other, where, nil
	}
	if err != nil {
		return absent, "", err
	}
	defer f.Close()
	found, err := sameBytes(c.bytes(file), f)
	return found, where, err
}
