package rights

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A program knows the signal for its parent's death on whichever thread main runs by then.
func TestParentDeathOnAnyThread(t *testing.T) {
	const child = "PAPERPATH_TEST_DEATH"
	if os.Getenv(child) != "" {
		fmt.Printf("death=%d\n", onAnotherThread(func() parentDeath { return Here("test").death }))
		return
	}
	runtime.LockOSThread() // the child's parent is this thread
	defer runtime.UnlockOSThread()
	cmd := exec.Command(os.Args[0], "-test.run=^TestParentDeathOnAnyThread$")
	cmd.Env = append(os.Environ(), child+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if want := fmt.Sprintf("death=%d\n", syscall.SIGKILL); err != nil || !strings.Contains(string(out), want) {
		t.Errorf("%v, %s want %s", err, out, want)
	}
}

// onAnotherThread calls f on a thread that is not the process's first.
func onAnotherThread(f func() parentDeath) parentDeath {
	found := make(chan parentDeath)
	var try func()
	try = func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if unix.Gettid() == os.Getpid() {
			further := make(chan struct{})
			go func() { defer close(further); try() }()
			<-further // the first thread waits here, so that it takes no other goroutine
			return
		}
		found <- f()
	}
	go try()
	return <-found
}
