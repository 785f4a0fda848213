package program

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"paperpath/internal/rights"
	"paperpath/internal/status"
)

// needFiles is the most files that a program has open while it works on one
// message: five inboxes with five directories each, settings, log, a message.
const needFiles = 48

// enoughFiles refuses to begin if RLIMIT_NOFILE leaves too few descriptors. Later on,
// the runtime would abort if it could not get the two that its poller needs, so it
// gets them now. The soft limit is already the hard one: package os raises it, and
// gives our children back what we had.
func enoughFiles() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return status.Temp("4.3.5", "cannot read RLIMIT_NOFILE", err)
	}
	if limit.Cur < rights.ManyFiles {
		if n := freeFiles(); n < needFiles {
			return status.Temp("4.3.5",
				fmt.Sprintf("%d more files can be opened here, and %d may be needed: raise the limit of open files (ulimit -n, RLIMIT_NOFILE; it is %d)",
					n, needFiles, limit.Cur), nil)
		}
	}
	r, w, err := os.Pipe() // the first file that can be waited for starts the poller
	if err != nil {
		return status.Temp("4.3.5", "cannot open a pipe", err)
	}
	r.Close()
	w.Close()
	return nil
}

// freeFiles is how many more files can be opened, at most needFiles: files that the
// caller left open count too.
func freeFiles() int {
	var fds []int
	for len(fds) < needFiles {
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
		if err != nil {
			break
		}
		fds = append(fds, fd)
	}
	for _, fd := range fds {
		unix.Close(fd)
	}
	return len(fds)
}
