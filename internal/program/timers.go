package program

import (
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// timerSlack is how much later than asked a thread of a server may wake, in nanoseconds.
const timerSlack = 1_000_000

// wakeSeldom lets timers be late by timerSlack. While anything runs, the runtime's monitor wakes
// every 20 us, in each process: 75 times for a message that passes three of them, a quarter of all
// processor time. No timer of ours is as exact as that. It hands on the processor of a goroutine
// whose system call takes long, too, so it stays as it is where the machine has one alone; a brief
// stage that chose one (processors) waits for few calls. Programs that a server runs have the same
// slack.
func wakeSeldom() {
	if runtime.GOMAXPROCS(0) > 1 {
		// Without it nothing is wrong but the time: it fails with cgo.
		syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_SET_TIMERSLACK, timerSlack, 0)
	}
}
