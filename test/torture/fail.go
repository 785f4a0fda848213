package main

import (
	"fmt"
	"maps"
	"strings"
	"syscall"
)

// faults are the errors that each call may meet, the likeliest first.
var faults = map[string][]syscall.Errno{
	"openat, new": {syscall.ENOSPC, syscall.EMFILE, syscall.EIO, syscall.EDQUOT, syscall.EROFS, syscall.EACCES},
	"openat":      {syscall.EACCES, syscall.EMFILE, syscall.EIO},
	"close":       {syscall.EIO, syscall.ENOSPC, syscall.EDQUOT},
	"stat":        {syscall.EIO, syscall.EACCES},
	"readlink":    {syscall.EIO, syscall.EACCES},
	"access":      {syscall.EIO, syscall.EACCES},
	"read":        {syscall.EIO},
	"getdents64":  {syscall.EIO, syscall.EACCES},
	"statfs":      {syscall.EIO, syscall.EACCES},
	"flock":       {syscall.EIO},
	"syncfs":      {syscall.EIO, syscall.ENOSPC, syscall.EDQUOT},
	"unlink":      {syscall.EIO, syscall.EACCES, syscall.EROFS},
	"":            {syscall.EIO, syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EACCES, syscall.EMFILE},
}

// errorsOf returns the errors to try at a call: all, or n of them in turn, so that
// neighbouring calls meet different ones. A call that changes nothing meets only one then,
// and where one is tried at the others, only each fourth meets it.
func errorsOf(c *call, at, n int) []syscall.Errno {
	name := c.name
	if c.makes {
		name = "openat, new"
	}
	all, ok := faults[name]
	if !ok {
		all = faults[""]
	}
	switch {
	case n == 1 && !c.changes && at%4 != 0:
		return nil
	case n > 1 && !c.changes:
		n = 1
	}
	if n <= 0 || n >= len(all) {
		return all
	}
	var some []syscall.Errno
	for i := range n {
		some = append(some, all[(at*n+i)%len(all)])
	}
	return some
}

// faulty is the filter of calls that a bad disk, a full one or a wrong
// permission can fail.
func faulty(w *world, c *call) bool { return w.holds(c.path) }

// failSweep runs the scenario once for each of its calls on files and each
// error: that call fails, the others do not.
func failSweep(p *pool, s *scenario, perCall int) *row {
	r := &row{name: "error: " + s.name}
	var calls []*call
	p.baseline(s, r, func(w *world, c *call) bool {
		if faulty(w, c) {
			calls = append(calls, c)
			return true
		}
		return false
	})
	type fault struct {
		n   int
		err syscall.Errno
	}
	var list []fault
	for i, c := range calls {
		for _, e := range errorsOf(c, i, perCall) {
			list = append(list, fault{i + 1, e})
		}
	}
	p.each(r, len(list), func(w *worker, i int) {
		f := list[i-1]
		w.failPoint(s, r, f.n, f.err)
	})
	return r
}

func (wk *worker) failPoint(s *scenario, r *row, n int, errno syscall.Errno) {
	where := fmt.Sprintf("%v at call %d", errno, n)
	w, err := wk.world(s)
	if err != nil {
		r.fail(where, err)
		return
	}
	defer w.close()
	var at *call
	step, err := w.step(s, nth(n, faulty, &at, act{fail: errno})(w))
	if err != nil || at == nil {
		if err != nil {
			r.fail(where, err)
		}
		return
	}
	where = fmt.Sprintf("%s (%v)", where, at)
	f, err := w.aftermath(s, step)
	if err != nil {
		r.fail(where, err)
		return
	}
	r.add(f, s.twice != nil && s.twice(upTo(step.calls, at), false), where)
}

// upTo returns the calls before c.
func upTo(calls []*call, c *call) []*call {
	for i := range calls {
		if calls[i] == c {
			return calls[:i]
		}
	}
	return calls
}

// aftermath judges a step in which a call has failed: what the program said
// and did, and what arrives once there are no faults and the client has
// repeated what was not acknowledged.
func (w *world) aftermath(s *scenario, step ran) (finding, error) {
	if why := misbehaved(s, step); why != "" {
		return finding{wrong, why}, nil
	}
	if err := w.settle(s, step.yes); err != nil {
		return finding{}, err
	}
	repeat := !step.yes && s.accepts()
	if repeat {
		again, err := w.repeat(s)
		if err != nil {
			return finding{}, err
		}
		if !again {
			return finding{wrong, "repeated without a fault it was refused"}, nil
		}
		if err := w.settle(s, true); err != nil {
			return finding{}, err
		}
		step.yes = true
	}
	if strings.Contains(w.log(), "panic") {
		return finding{wrong, "a panic in the log"}, nil
	}
	return w.judge(s, step.yes, repeat)
}

// repeat is the client that sends the message again.
func (w *world) repeat(s *scenario) (yes bool, err error) {
	r, err := w.step(s, func(*call) act { return act{} })
	return r.yes, err
}

// misbehaved says what a program did that it must not do whatever fails: hang,
// panic, crash, blame the message for our own trouble, sync a file again whose
// fsync has failed.
func misbehaved(s *scenario, step ran) string {
	switch {
	case step.hung:
		return "it hung"
	case step.signal != 0:
		return fmt.Sprintf("it died of %v: %.500s", step.signal, step.stderr)
	case strings.Contains(step.stderr, "panic") || strings.Contains(step.stderr, "goroutine "):
		return fmt.Sprintf("it panicked: %.500s", step.stderr)
	case step.status == 77 && !s.inHand(): // at its start; what it told a client is checked below
	case step.status != 0 && step.status != 75 && !(s.finds && step.status == 65):
		return fmt.Sprintf("exit status %d: %.300s", step.status, step.stderr)
	}
	for _, reply := range step.replies {
		if s.program == "mailsubmit" && !strings.HasPrefix(reply, "4") {
			return fmt.Sprintf("the reply is %q", reply)
		}
	}
	if why := placedUnsynced(step.calls); why != "" {
		return why
	}
	return syncedAgain(step.calls)
}

// placedUnsynced finds a file that was placed although its sync, or that of its whole
// file system, had failed: it may be complete in memory only.
func placedUnsynced(calls []*call) string {
	written, failed := map[string]bool{}, map[string]bool{}
	for _, c := range calls {
		switch {
		case (c.name == "write" || c.name == "copy_file_range") && within(c.path, "tmp"):
			written[c.path] = true
		case c.injected && c.name == "fsync" && within(c.path, "tmp"):
			failed[c.path] = true
		case c.injected && c.name == "syncfs":
			maps.Copy(failed, written)
		case (c.name == "rename" || c.name == "link") && c.ok() && failed[c.path]:
			return "placed although its sync had failed: " + c.path
		}
	}
	return ""
}

// syncedAgain finds a file that was synced again, without having been written again,
// after its fsync had failed: the second fsync would report success, since the kernel
// has forgotten what it could not write.
func syncedAgain(calls []*call) string {
	failed := map[string]bool{}
	for _, c := range calls {
		switch {
		case c.name == "write" || c.name == "copy_file_range":
			delete(failed, c.path)
		case c.name != "fsync" && c.name != "fdatasync":
		case failed[c.path] && !c.injected:
			return "synced again after a failure: " + c.path
		case c.injected && (within(c.path, "tmp") || within(c.path, "new") || within(c.path, "cur")): // a file
			failed[c.path] = true
		}
	}
	return ""
}
