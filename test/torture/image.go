package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"paperpath/test/harness"
)

// image is a file system of its own on a loop device, whose power can be cut.
type image struct {
	fs     string
	with   string // mount options
	file   string
	device string
	mount  string
	copied bool // the state at the cut is in file+".cut"
}

// fileSystem is how images of a kind are made.
type fileSystem struct {
	name    string
	size    int64
	mkfs    []string
	options string
	ioctl   bool // knows the shutdown ioctl; else the image is copied
}

// With long commit intervals nothing becomes durable by itself.
var fileSystems = map[string]fileSystem{
	"ext4":  {"ext4", 64 << 20, []string{"mkfs.ext4", "-q", "-F"}, "commit=600", true},
	"xfs":   {"xfs", 300 << 20, []string{"mkfs.xfs", "-q", "-f"}, "", true},
	"btrfs": {"btrfs", 128 << 20, []string{"mkfs.btrfs", "-q", "-f"}, "commit=300,nodiscard", false},
	// Only to see what is synced there.
	"ext2":                   {"ext2", 64 << 20, []string{"mkfs.ext2", "-q", "-F"}, "", false},
	"ext4 without a journal": {"ext4", 64 << 20, []string{"mkfs.ext4", "-q", "-F", "-O", "^has_journal"}, "", false},
}

// newImage makes and mounts an image in dir.
func newImage(dir, name string, fs fileSystem, extra ...string) (*image, error) {
	i := &image{fs: fs.name, with: fs.options, file: filepath.Join(dir, name+".image"), mount: filepath.Join(dir, name)}
	if err := os.MkdirAll(i.mount, 0o711); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(i.file, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	err = f.Truncate(fs.size)
	f.Close()
	if err != nil {
		return nil, err
	}
	words := append(append(append([]string{}, fs.mkfs...), extra...), i.file)
	if _, err := command(words...); err != nil {
		return nil, err
	}
	if i.device, err = command("losetup", "--find", "--show", i.file); err != nil {
		return nil, err
	}
	if err := i.attach(); err != nil {
		command("losetup", "--detach", i.device)
		return nil, err
	}
	return i, nil
}

func command(words ...string) (string, error) {
	out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w %.200s", words[0], err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

func (i *image) attach() error {
	err := syscall.Mount(i.device, i.mount, i.fs, syscall.MS_NOATIME, i.with)
	if err != nil {
		return fmt.Errorf("mount %s: %w", i.mount, err)
	}
	return nil
}

// flush makes everything durable.
func (i *image) flush() error {
	d, err := os.Open(i.mount)
	if err != nil {
		return err
	}
	defer d.Close()
	return unix.Syncfs(int(d.Fd()))
}

const (
	shutdownIoctl = 0x8004587d // EXT4_IOC_SHUTDOWN, XFS_IOC_GOINGDOWN
	noLogFlush    = 2          // what was not committed is lost
)

// cut cuts the power: nothing more gets to the disk.
func (i *image) cut() error {
	if !fileSystems[i.fs].ioctl {
		i.copied = true
		return i.snapshot()
	}
	d, err := os.Open(i.mount)
	if err != nil {
		return err
	}
	defer d.Close()
	how := uint32(noLogFlush)
	_, _, no := syscall.Syscall(syscall.SYS_IOCTL, d.Fd(), shutdownIoctl, uintptr(unsafe.Pointer(&how)))
	if no != 0 {
		return fmt.Errorf("shutdown %s: %w", i.mount, no)
	}
	return nil
}

// reboot mounts what the cut has left.
func (i *image) reboot() error {
	if err := i.detach(); err != nil {
		return err
	}
	if i.copied {
		i.copied = false
		// From now on the file differs from what the device has cached.
		if err := i.forget(); err != nil {
			return err
		}
		if _, err := command("cp", "--sparse=always", i.file+".cut", i.file); err != nil {
			return err
		}
		if err := i.forget(); err != nil {
			return err
		}
	}
	return i.attach()
}

// snapshot copies the image of a mounted btrfs. Btrfs writes to free space until a new
// superblock refers to it: the copy is the state of one instant if the superblock has
// not changed meanwhile.
func (i *image) snapshot() error {
	for range 10 {
		before, err := i.superblock()
		if err != nil {
			return err
		}
		if _, err := command("cp", "--sparse=always", i.file, i.file+".cut"); err != nil {
			return err
		}
		after, err := i.superblock()
		if err != nil {
			return err
		}
		if bytes.Equal(before, after) {
			return nil
		}
	}
	return fmt.Errorf("%s changes all the time", i.file)
}

// superblock returns the first superblock of a btrfs.
func (i *image) superblock() ([]byte, error) {
	f, err := os.Open(i.file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, 4096)
	_, err = f.ReadAt(b, 64<<10)
	return b, err
}

// forget empties the cache of the device.
func (i *image) forget() error {
	d, err := os.Open(i.device)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := unix.IoctlSetInt(int(d.Fd()), unix.BLKFLSBUF, 0); err != nil {
		return fmt.Errorf("BLKFLSBUF %s: %w", i.device, err)
	}
	return nil
}

// detach unmounts. A process that another worker is just starting may hold a
// descriptor until it calls exec.
func (i *image) detach() error {
	var last error
	err := harness.Wait("umount "+i.mount, time.Minute, func() bool {
		last = syscall.Unmount(i.mount, 0)
		return !errors.Is(last, syscall.EBUSY)
	})
	if err = errors.Join(err, last); err != nil {
		return fmt.Errorf("umount %s: %w", i.mount, err)
	}
	return nil
}

func (i *image) close() {
	if i.detach() != nil {
		syscall.Unmount(i.mount, syscall.MNT_DETACH)
	}
	command("losetup", "--detach", i.device)
	os.Remove(i.file)
	os.Remove(i.file + ".cut")
}
