package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"paperpath/internal/dir"
)

// Record is the file in the spool that says on which boot of which machine, and on which
// mount, tmp/ was looked through for complete files.
const Record = ".boot"

const (
	bootFile    = "/proc/sys/kernel/random/boot_id"
	machineFile = "/etc/machine-id"
)

// begun looks through tmp/ of the inboxes if this is the first program that opens the spool
// since the machine was started, or since the spool came to it or to another volume. What cannot be
// promoted now, the runner's cleaning promotes.
func (s *Spool) begun() error {
	now := bootRecord(s.mount)
	path := filepath.Join(s.path, Record)
	if then, err := os.ReadFile(path); err == nil && string(then) == now {
		return nil
	}
	var failed error // what fails in the one inbox says nothing about the other
	denied := false
	for _, in := range []Inbox{InboxCheck, InboxRoute} {
		b, err := s.inbox(in)
		if err == nil {
			err = s.promote(b, nil)
		}
		switch {
		case errors.Is(err, dir.ErrLocked):
			return failed // another program looks
		case errors.Is(err, fs.ErrPermission):
			denied = true // the stages' users may
		case err != nil:
			failed = errors.Join(failed, fmt.Errorf("look through %s/tmp: %w", in, err))
		}
	}
	if failed != nil || denied {
		return failed
	}
	return writeRecord(path, now, s.shared())
}

// bootRecord names this boot, this machine and this mount. What has no name here is "-".
func bootRecord(m dir.Mount) string {
	name := func(path string) string {
		text, _ := os.ReadFile(path)
		if id := strings.TrimSpace(string(text)); id != "" {
			return id
		}
		return "-"
	}
	// Not the id of the mount, which is another one in each mount namespace, as services have them.
	return fmt.Sprintf("boot %s\nmachine %s\nmount %s %s\n", name(bootFile), name(machineFile), m.Type, m.Device)
}

// onMount learns where the spool is. Where the kernel does not tell, the mount has no type.
func (s *Spool) onMount() error {
	d, err := dir.Open(s.path)
	if err != nil {
		return err
	}
	defer d.Close()
	st, err := d.Stat()
	if err != nil {
		return err
	}
	s.device = st.Dev
	if s.mount, err = d.Mount(); err != nil {
		s.mount = dir.Mount{Type: "-", Device: "-"}
	}
	s.oneSync = !s.strict && s.mount.NamesWithFiles()
	return nil
}

// shared reports whether stages of several users work in the spool.
func (s *Spool) shared() bool {
	b, err := s.inbox(InboxRoute)
	return err == nil && b.shared()
}

// writeRecord replaces the record. It need not be durable: a lost one is made again. Another
// user's stage may have made the old one, and another program makes the same one now. Only the
// owner of the spool makes names there: the stages of a shared one write into the file.
func writeRecord(path, text string, shared bool) error {
	err := os.Remove(path)
	if shared && errors.Is(err, fs.ErrPermission) {
		return rewriteRecord(path, text)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if shared {
		err = f.Chmod(0o664)
	}
	if err == nil {
		_, err = f.WriteString(text)
	}
	return errors.Join(err, f.Close())
}

// rewriteRecord replaces what the record says.
func rewriteRecord(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
