// Package home is the home of a program: its directory, clock, settings, log and
// spool, its privileges there, and the counters that processes share.
package home

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"sync"
	"time"

	"paperpath/internal/clock"
	"paperpath/internal/control"
	"paperpath/internal/dns"
	"paperpath/internal/full"
	"paperpath/internal/input"
	"paperpath/internal/maillog"
	"paperpath/internal/ratelimit"
	"paperpath/internal/rights"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// Home is what every program has once its options are parsed.
type Home struct {
	rights.Place
	Clock   clock.Clock
	Control *control.Control
	Log     *maillog.Log
	Stdin   *os.File
	Stdout  *os.File
	Stderr  *os.File

	spools     []*spool.Spool // the last one is in force
	opened     spoolSettings  // with these
	countersMu sync.Mutex
	tables     map[string]*ratelimit.Table
	full       *full.Marks
	seldomMu   sync.Mutex
	lastTold   map[string]time.Time // when trouble was last logged, by op
	named      bool                 // broken rows were reported at the start
	confinable bool                 // the process is this program and nothing else

	resolverOnce sync.Once
	resolver     *dns.Resolver
}

// New returns the home of the program called name, with the process's streams;
// Open finds the directory.
func New(name string) *Home {
	return &Home{Place: rights.Here(name), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, confinable: true}
}

// Rights are the privileges that a program keeps; the others are given up in Open.
type Rights struct {
	Root    bool // it gives up root later, or its children do
	SetUser bool // it starts programs that may be set-user-ID

	Homeless bool // it does not use the home, so the home's owner does not matter

	As string // the program whose user it becomes, where each has its own; "": its own
}

// Open finds the directory (see rights.Place.Find). It opens
// settings and log and sets the clock to the time now (RFC 3339), else to
// $PAPERPATH_NOW, else to the machine's time. It gives up all privileges except keep.
// It creates nothing.
func (h *Home) Open(dir, now string, keep Rights) error {
	if err := h.Find(dir); err != nil {
		return err
	}
	h.As = keep.As
	var err error
	if h.Clock, err = clock.Parse(cmp.Or(now, os.Getenv("PAPERPATH_NOW"))); err != nil {
		return status.UsageError("%v", err)
	}
	if !keep.Homeless {
		if err := h.Trust(); err != nil {
			return err
		}
	}
	if !keep.Root {
		if err := h.GiveUpRoot(); err != nil {
			return err
		}
	}
	h.ShareFiles()
	h.Control = control.Open(h.Dir, time.Now) // compared with mtimes, which --now does not shift
	h.Log = maillog.Open(h.Dir, h.Name, h.logsTo(), h.Clock.Now)
	if !keep.SetUser {
		h.forgoPrivileges()
	}
	return nil
}

// Spool opens the spool on first use, and again when the settings that it depends on
// have changed. The previous one stays open for sessions and attempts that use it.
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
	strict, err := h.Control.StrictSync()
	if err != nil {
		return nil, err
	}
	with := spoolSettings{host, octets, inodes, strict}
	if n := len(h.spools); n > 0 && h.opened == with {
		return h.spools[n-1], nil
	}
	sp, err := spool.Open(h.Dir, spool.Options{Now: h.Clock.Now, Shifted: h.Clock.Shifted(),
		Hostname: host, Reserve: octets, Inodes: inodes, Strict: strict, Log: h.Log})
	if err != nil {
		return nil, err
	}
	h.spools, h.opened = append(h.spools, sp), with
	return sp, nil
}

// spoolSettings are the settings that an open spool depends on.
type spoolSettings struct {
	host           string
	octets, inodes int64
	strict         bool
}

// Close closes the spools and the counters.
func (h *Home) Close() {
	for _, sp := range h.spools {
		sp.Close()
	}
	for _, t := range h.tables {
		t.Close()
	}
	if h.full != nil {
		h.full.Close()
	}
}

// Input returns standard input for a program that reads a message or a password from
// it, until ctx ends.
func (h *Home) Input(ctx context.Context) *input.Reader { return input.Until(ctx, h.Stdin) }
