package rights

import (
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// Confine removes from this process what none of the programs needs.
func Confine() {
	// A fatal error of the runtime ends in a signal, not in exit status 2.
	debug.SetTraceback("crash")
	// Memory holds passwords, keys and mail: no core file (this includes the programs
	// that we start), no debugger, and no access to /proc/PID for other users.
	unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	for _, resource := range []int{unix.RLIMIT_CORE, unix.RLIMIT_MEMLOCK, unix.RLIMIT_MSGQUEUE,
		unix.RLIMIT_RTPRIO, unix.RLIMIT_NICE} {
		unix.Setrlimit(resource, &unix.Rlimit{})
	}
}

// ManyFiles is a limit of open files that is high enough whatever files were inherited.
const ManyFiles = 4096
