package status

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// Bounds of what a panic leaves in an event, in octets: twice that, which is the
// most that escaping makes of a stack, is less than an event of another process
// may have (maillog.Log.Forward).
const (
	maxPanicValue = 200
	maxPanicStack = 3 << 10
)

// Panic is a panic that was caught: a defect of ours, so it is temporary whatever
// its value says. The text of the error is short enough for a reason that people
// read; maillog.Log.Trouble and program.Program write the stack, too (Stack).
type Panic struct {
	value string
	stack string
}

// Error returns what panic was called with. As in any other error that quotes
// strangers, it is escaped where it is shown.
func (p *Panic) Error() string { return "panic: " + p.value }

// Catch turns a panic of the function that defers it into an error:
//
//	defer status.Catch(&err)
//
// It has to be deferred directly, and where there is no panic it changes nothing.
func Catch(err *error) {
	if v := recover(); v != nil {
		*err = &Panic{value: cut(fmt.Sprint(v), maxPanicValue), stack: cut(string(debug.Stack()), maxPanicStack)}
	}
}

// Guard calls f and returns its error; a panic in it is a *Panic.
func Guard(f func() error) (err error) {
	defer Catch(&err)
	return f()
}

// Stack returns the stack of the panic that err came from, "" if it was none.
func Stack(err error) string {
	var p *Panic
	if !errors.As(err, &p) {
		return ""
	}
	return p.stack
}

func cut(s string, most int) string { return s[:min(len(s), most)] }
