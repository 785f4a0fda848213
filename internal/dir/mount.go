package dir

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Mount is what the kernel tells of the mount that a directory is on.
type Mount struct {
	Type   string // of the file system: ext4
	Device string // MAJOR:MINOR
}

// Mount tells of the mount that the directory is on. The error says what could not be read.
func (d *Dir) Mount() (Mount, error) {
	id, err := d.mountID()
	if err != nil {
		return Mount{}, err
	}
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return Mount{}, err
	}
	defer f.Close()
	m, err := findMount(f, id)
	if err != nil {
		return Mount{}, fmt.Errorf("%s: %w", f.Name(), err)
	}
	return m, nil
}

func (d *Dir) mountID() (uint64, error) {
	const which = unix.STATX_MNT_ID
	var st unix.Statx_t
	if d.fd == noDir {
		return 0, d.absent("stat", "")
	}
	err := retry(func() error { return unix.Statx(d.fd, "", unix.AT_EMPTY_PATH, which, &st) })
	if err == nil && st.Mask&uint32(which) == 0 {
		err = errors.ErrUnsupported
	}
	if err != nil {
		return 0, &os.PathError{Op: "statx", Path: d.path, Err: err}
	}
	return st.Mnt_id, nil
}

// findMount reads the line of a mount in the form of proc_pid_mountinfo(5): id, parent's id,
// MAJOR:MINOR, three more fields, then optional fields up to "-", and the type.
func findMount(r io.Reader, id uint64) (Mount, error) {
	want := strconv.FormatUint(id, 10)
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20) // an overlay may have many layers in its options
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 3 || f[0] != want {
			continue
		}
		for i := 6; i+1 < len(f); i++ {
			if f[i] == "-" {
				return Mount{Type: f[i+1], Device: f[2]}, nil
			}
		}
		return Mount{}, fmt.Errorf("mount %s has no type", want)
	}
	if err := lines.Err(); err != nil {
		return Mount{}, err
	}
	return Mount{}, fmt.Errorf("no mount %s", want)
}

// NamesWithFiles reports whether the first fsync of a new file makes its name durable, too.
// POSIX does not promise that. These file systems do it, since the creation of the file and
// its size are in one journal, in this order.
func (m Mount) NamesWithFiles() bool {
	switch m.Type {
	case "xfs", "btrfs":
		return true
	case "ext4":
		return hasJournal("/sys", m.Device)
	}
	return false
}

// hasJournal reports whether an ext4 has a journal, as far as sys, where sysfs is, tells.
func hasJournal(sys, device string) bool {
	disk, err := os.Readlink(filepath.Join(sys, "dev/block", device))
	if err != nil {
		return false
	}
	task, err := os.ReadFile(filepath.Join(sys, "fs/ext4", filepath.Base(disk), "journal_task"))
	_, no := strconv.Atoi(strings.TrimSpace(string(task)))
	return err == nil && no == nil // "<none>" without a journal
}
