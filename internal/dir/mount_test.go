package dir

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var mountinfo = `22 28 0:20 / /sys rw,nosuid shared:7 - sysfs sysfs rw
28 1 254:0 / / rw,relatime shared:1 master:2 - ext4 /dev/root rw
37 28 7:3 / /srv/a\040blank rw - xfs /dev/loop3 rw
38 28 0:44 / /merged rw - overlay overlay rw,lowerdir=` + strings.Repeat("/a:", 40000) + `
39 28 0:45 /sub /btrfs rw,noatime - btrfs /dev/sdb rw
40 28 7:4
41 28 7:5 / /x rw nothing follows
`

func TestFindMount(t *testing.T) {
	for id, want := range map[uint64]Mount{
		22: {Type: "sysfs", Device: "0:20"}, 28: {Type: "ext4", Device: "254:0"}, 37: {Type: "xfs", Device: "7:3"},
		38: {Type: "overlay", Device: "0:44"}, 39: {Type: "btrfs", Device: "0:45"}, 40: {}, 41: {}, 2: {}, 99: {},
	} {
		m, err := findMount(strings.NewReader(mountinfo), id)
		if m != want || (err == nil) != (want.Type != "") {
			t.Errorf("%d: %+v, %v", id, m, err)
		}
	}
}

// Here the kernel is asked.
func TestMount(t *testing.T) {
	for path, want := range map[string]string{"/proc": "proc", "/sys": "sysfs"} {
		d, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		if m, err := d.Mount(); err != nil || m.Type != want || m.NamesWithFiles() {
			t.Errorf("%s: %+v, %v", path, m, err)
		}
	}
}

func TestNamesWithFiles(t *testing.T) {
	for fs, want := range map[string]bool{"xfs": true, "btrfs": true, "ext4": false, "ext2": false, "ext3": false,
		"tmpfs": false, "overlay": false, "nfs4": false, "zfs": false, "f2fs": false, "": false} {
		if got := (Mount{Type: fs, Device: "999:999"}).NamesWithFiles(); got != want {
			t.Errorf("%s: %v", fs, got)
		}
	}
}

// Only an ext4 whose journal sysfs shows has one.
func TestHasJournal(t *testing.T) {
	for text, want := range map[string]bool{"123\n": true, "0\n": true, "<none>\n": false, "": false, "-": false} {
		sys := t.TempDir()
		for _, d := range []string{"dev/block", "fs/ext4/dm-1"} {
			if err := os.MkdirAll(filepath.Join(sys, d), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink("../../devices/virtual/block/dm-1", filepath.Join(sys, "dev/block/253:1")); err != nil {
			t.Fatal(err)
		}
		if text != "-" {
			if err := os.WriteFile(filepath.Join(sys, "fs/ext4/dm-1/journal_task"), []byte(text), 0o444); err != nil {
				t.Fatal(err)
			}
		}
		if got := hasJournal(sys, "253:1"); got != want {
			t.Errorf("%q: %v", text, got)
		}
		if hasJournal(sys, "8:1") {
			t.Error("an unknown device has a journal")
		}
	}
}
