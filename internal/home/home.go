// Package home is a program's home: its directory, clock, settings, log and
// spool, the rights that it has there, and what its processes count together.
package home

import (
	"cmp"
	"os"
	"path/filepath"
	"sync"
	"time"

	"paperpath/internal/clock"
	"paperpath/internal/control"
	"paperpath/internal/maillog"
	"paperpath/internal/ratelimit"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// Default is the directory of the home unless --home or $PAPERPATH_HOME says.
const Default = "/var/lib/paperpath"

// Home is what every program has once its options are read.
type Home struct {
	Name    string // of the program, in events
	Dir     string // absolute
	Clock   clock.Clock
	Control *control.Control
	Log     *maillog.Log
	Stdin   *os.File
	Stdout  *os.File
	Stderr  *os.File

	spools   []*spool.Spool // the last one is in force
	opened   spoolSettings  // with these
	tallyMu  sync.Mutex
	tallies  map[string]*ratelimit.Table
	seldomMu sync.Mutex
	lastTold map[string]time.Time // when an op last had trouble
	named    bool                 // broken rows were named at the start
	death    parentDeath
}

// New returns the home of the program name with the process's streams; Open
// finds the directory. Main calls it on its first thread.
func New(name string) *Home {
	return &Home{Name: name, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, death: askParentDeath()}
}

// Rights is what a program keeps, where others give it up when they open their
// home.
type Rights struct {
	Root    bool // its children give it up themselves, or it makes a home
	SetUser bool // programs that it starts may be set-id

	Homeless bool // it has nothing to do with this home, so whose that is is not asked
}

// Open finds the directory: dir, else $PAPERPATH_HOME, else Default. It opens
// settings and log with a clock that begins at the time now (RFC 3339), else at
// $PAPERPATH_NOW, else is the machine's, and gives up all rights but keep.
// Nothing is made.
func (h *Home) Open(dir, now string, keep Rights) error {
	dir, err := filepath.Abs(cmp.Or(dir, os.Getenv("PAPERPATH_HOME"), Default))
	if err != nil {
		return status.Temp("4.3.5", "cannot find the home", err)
	}
	h.Dir = dir
	if h.Clock, err = clock.Parse(cmp.Or(now, os.Getenv("PAPERPATH_NOW"))); err != nil {
		return status.UsageError("%v", err)
	}
	if !keep.Homeless {
		if err := h.trust(); err != nil {
			return err
		}
	}
	if !keep.Root {
		if err := h.GiveUpRoot(); err != nil {
			return err
		}
	}
	h.Control = control.Open(dir, time.Now) // compared with mtimes, which never are shifted
	h.Log = maillog.Open(dir, h.Name, h.logsTo(), h.Clock.Now)
	if !keep.SetUser {
		h.forgoPrivileges()
	}
	return nil
}

// Spool opens the spool on its first use, and again where the settings that it
// holds have changed. What was open stays so: sessions and attempts work on it.
func (h *Home) Spool() (*spool.Spool, error) {
	if err := spool.CheckMark(filepath.Join(h.Dir, "spool")); err != nil {
		return nil, err
	}
	host, err := h.Control.Hostname()
	if err != nil {
		return nil, err
	}
	octets, inodes, err := h.Control.Reserve()
	if err != nil {
		return nil, err
	}
	with := spoolSettings{host, octets, inodes}
	if n := len(h.spools); n > 0 && h.opened == with {
		return h.spools[n-1], nil
	}
	sp, err := spool.Open(h.Dir, spool.Options{Now: h.Clock.Now, Shifted: h.Clock.Shifted(),
		Hostname: host, Reserve: octets, Inodes: inodes, Log: h.Log})
	if err != nil {
		return nil, err
	}
	h.spools, h.opened = append(h.spools, sp), with
	return sp, nil
}

// spoolSettings is what an open spool knows of control/.
type spoolSettings struct {
	host           string
	octets, inodes int64
}

// Close closes the spools and the counters.
func (h *Home) Close() {
	for _, sp := range h.spools {
		sp.Close()
	}
	for _, t := range h.tallies {
		t.Close()
	}
}
