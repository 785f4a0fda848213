package main

import (
	"os"
	"runtime"
	"syscall"
)

// aloneMark is set in the environment of the program that has mounts of its own.
const aloneMark = "PAPERPATH_TORTURE_ALONE"

// alone begins the program again with mounts that no other process sees. Whoever makes a mount
// namespace meanwhile, as a container does, would copy the mounts of the images, and a file
// system whose power was cut would still be the one that is mounted again.
func alone() error {
	if os.Getenv(aloneMark) != "" || os.Geteuid() != 0 {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	runtime.LockOSThread() // the thread that calls exec becomes the process
	defer runtime.UnlockOSThread()
	if err := syscall.Unshare(syscall.CLONE_NEWNS); err != nil {
		return err
	}
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return err
	}
	return syscall.Exec(self, os.Args, append(os.Environ(), aloneMark+"=1"))
}
