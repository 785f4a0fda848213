package main

import (
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"paperpath/internal/spool"
	"paperpath/test/harness"
)

// watchScenarios are runners that keep running. They do to an entry what run does, but
// differ in when they sync and in what they do after an error.
func watchScenarios() []scenario {
	var all []scenario
	watch := func(s scenario, in spool.Inbox) {
		s.name, s.args, s.watches = s.program+", watch", fixed("watch"), in
		all = append(all, s)
	}
	of := func(list []scenario, name string) scenario {
		return list[slices.IndexFunc(list, func(s scenario) bool { return s.name == name })]
	}
	watch(of(stageScenarios(), "mailroute, split"), spool.InboxRoute)
	watch(of(deliverScenarios(), "maildeliver, rename"), spool.InboxDeliver)
	watch(of(relayScenarios(), "mailrelay, two recipients"), spool.InboxRelay)
	return all
}

// watchQuiet is how long a watcher makes no system call before it counts as waiting:
// after an error of its own it waits, and is ended then.
const watchQuiet = 300 * time.Millisecond

// ender ends a watcher that has done what there was to do.
type ender struct {
	over atomic.Bool  // it has ended
	last atomic.Int64 // when its last call was, in Unix nanoseconds
}

// watch returns h, with each call noted in e.
func (e *ender) watch(h hook) hook {
	e.last.Store(time.Now().UnixNano())
	return func(c *call) act {
		e.last.Store(time.Now().UnixNano())
		return h(c)
	}
}

// end ends the watcher once its inbox is empty or it waits.
func (e *ender) end(pid int, empty func() bool) {
	harness.Wait("the watcher", patience, func() bool {
		return e.over.Load() || empty() || time.Since(time.Unix(0, e.last.Load())) > watchQuiet
	})
	if !e.over.Load() {
		syscall.Kill(pid, syscall.SIGTERM)
	}
}
