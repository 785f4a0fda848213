// Package control reads the settings: one small file each in home/control, read
// when it is used and kept in memory until it changes. Parsing is strict. Every
// error names file and line and is temporary: a broken setting delays mail and
// never bounces it. control(5) describes the files.
package control

import (
	"fmt"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"paperpath/internal/status"
)

const (
	maxScalar = 64 << 10  // bytes in a file that holds one value
	maxTable  = 512 << 20 // bytes in a table
	maxLine   = 1 << 20   // bytes in a line, continuation lines joined

	settled     = time.Second     // a file that has not changed for this long is taken as complete
	longestWait = 5 * time.Second // for that
)

// Control is the settings of one home. Its methods may be called concurrently.
type Control struct {
	*shared
	view view // which looks count for it
}

// shared is what all views of the settings of a home have in common.
type shared struct {
	home  string
	now   func() time.Time
	sleep func(time.Duration)

	settings map[string]*Setting
	report   func(error)                // called for a broken row; nil: not wanted
	trouble  func(op string, err error) // called for a database that cannot be used; nil: not wanted

	backends []backend
	slots    chan struct{}       // for programs that look up rows
	runAs    *syscall.Credential // the user they run as; nil: ours

	recording *Recording // of what is read; nil: none
	replayed  *Recording // where backends' answers come from; nil: from them

	mu       sync.Mutex
	cache    map[string]cached
	young    map[string]cached // of files that have just changed
	memories map[string]*memory
	programs map[string]*execTable // of tables, by their names
	looks    looks
	spoilt   map[string]storedStamp // of tables whose databases in run/ are damaged

	lists lists // that aliases include

	getent     string        // where the program is; "": where it is found
	noAccounts *unknownNames // names that getent did not find

	seenMu sync.Mutex
	seen   map[string]seenRow   // broken rows, by table and id
	told   map[string]time.Time // when a trouble with a table was reported

	rulesOnce sync.Once
	rules     []ReplyRule // those that are built in
}

// Open returns the settings of home. Nothing is read yet. now is compared with the
// times that the kernel gives to changed files, so it has to be the machine's clock
// (time.Now) even if the program runs on a shifted one.
func Open(home string, now func() time.Time) *Control {
	return &Control{shared: &shared{home: home, now: now, sleep: time.Sleep, settings: byName(),
		backends: backends(), slots: make(chan struct{}, lookupMost),
		cache: map[string]cached{}, young: map[string]cached{}, memories: map[string]*memory{}, seen: map[string]seenRow{},
		programs: map[string]*execTable{}, spoilt: map[string]storedStamp{}, told: map[string]time.Time{}}}
}

// Home returns the directory that Open was called with.
func (c *Control) Home() string { return c.home }

// path returns the path of a control file.
func (c *Control) path(name string) string { return filepath.Join(c.home, "control", name) }

// where returns file and line as errors, events and explain show them.
func where(name string, line int) string { return fmt.Sprintf("control/%s:%d", name, line) }

// broken makes the temporary error for a control file (RFC 3463 3.4, X.3.5: system
// incorrectly configured). Its text stays on this machine and is not part of the
// reply to a peer.
func broken(err error) error {
	return &status.Error{Exit: status.TempFail, Reply: 451, Enhanced: "4.3.5", Err: err}
}

func fail(name string, line int, format string, args ...any) error {
	return broken(&fileError{name, line, fmt.Errorf(format, args...)})
}

func failFile(name, format string, args ...any) error {
	return broken(&fileError{name, 0, fmt.Errorf(format, args...)})
}

// fileError is what is wrong with a control file, or with one of its lines.
type fileError struct {
	file string
	line int // 0: the whole file
	err  error
}

func (p *fileError) Error() string {
	if p.line == 0 {
		return "control/" + p.file + ": " + p.err.Error()
	}
	return where(p.file, p.line) + ": " + p.err.Error()
}

func (p *fileError) Unwrap() error { return p.err }
