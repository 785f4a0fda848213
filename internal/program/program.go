// Package program is the frame of every Paperpath program: it reads the
// options, finds the home, opens settings and log, and turns what the program
// returns into an exit status.
package program

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"paperpath/internal/clock"
	"paperpath/internal/control"
	"paperpath/internal/maillog"
	"paperpath/internal/spool"
	"paperpath/internal/status"
	"paperpath/internal/tally"
	"paperpath/internal/visible"
)

// Version is the version of all programs.
const Version = "0.1.0"

// defaultHome is where the home is unless --home or $PAPERPATH_HOME says.
const defaultHome = "/var/lib/paperpath"

// Action does a program's or a verb's work. ctx ends on SIGTERM and SIGINT.
type Action func(ctx context.Context, f *Frame, c *cli.Context) error

// Program describes a program to the frame.
type Program struct {
	Name        string
	LogName     string     // in events, where it is called by another name; "" is Name
	Usage       string     // one line
	Operands    string     // as the synopsis shows them: "[address ...]"
	Flags       []cli.Flag // of the face without a verb; --home, --now, --help and --version come with the frame
	Optional    string     // letters of options whose value is only ever glued to them
	Action      Action     // the face without a verb; nil: a verb is needed
	Verbs       []Verb
	UsageStatus func(args []string) int // exit status of a usage error; nil: 64
	KeepRoot    bool                    // the face without a verb stays root: it makes a home, or gives it up itself
	Kind        Kind                    // of the face without a verb

	// StartsPrograms says that the face without a verb starts programs of users.
	StartsPrograms bool
}

// Verb is a word that chooses another face of a program. It is one only as the
// first word.
type Verb struct {
	Name     string
	Usage    string
	Operands string
	Flags    []cli.Flag
	Action   Action
	Verbs    []Verb
	KeepRoot bool // stay root: its children give it up themselves
	Kind     Kind // Filter: that of the face above it

	StartsPrograms bool // of users, which may be set-id
}

// Frame is what every program has once its options are read.
type Frame struct {
	Name    string
	Home    string // absolute
	Clock   clock.Clock
	Control *control.Control
	Log     *maillog.Log
	Stdin   *os.File
	Stdout  *os.File
	Stderr  *os.File

	spools  []*spool.Spool // the last one is in force
	opened  spoolSettings  // with these
	tallyMu sync.Mutex
	tallies map[string]*tally.Table
	toldMu  sync.Mutex
	told    map[string]time.Time // troubles
	muted   bool                 // standard error was the client's
	kind    Kind                 // of the face at work
	death   parentDeath
}

// Main runs the program with the process's arguments and returns its exit
// status.
func Main(p Program) int {
	f := &Frame{Name: cmp.Or(p.LogName, p.Name), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, death: askParentDeath()}
	confine()
	f.muted = muteClient()
	if err := enoughFiles(); err != nil {
		fmt.Fprintf(f.Stderr, "%s: %v\n", p.Name, err)
		return status.Exit(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	return p.Run(ctx, f, os.Args[1:])
}

// muteClient keeps errors from the client: below inetd standard error is its
// socket, where nothing but protocol may be written. It reports whether it had
// to; what would be printed is an event then.
func muteClient() bool {
	var in, out unix.Stat_t
	if unix.Fstat(0, &in) != nil || unix.Fstat(2, &out) != nil {
		return false
	}
	if in.Mode&unix.S_IFMT != unix.S_IFSOCK || in.Dev != out.Dev || in.Ino != out.Ino {
		return false
	}
	null, err := unix.Open("/dev/null", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		unix.Close(2) // better no errors than errors to the client
		return true
	}
	unix.Dup3(null, 2, 0)
	unix.Close(null)
	return true
}

// Run runs the program with args in the frame f, whose name and streams are
// set, and returns the exit status.
func (p Program) Run(ctx context.Context, f *Frame, args []string) (code int) {
	defer func() {
		if r := recover(); r != nil {
			fmt.Fprintf(f.Stderr, "%s: panic: %s\n%s", p.Name, visible.Line(fmt.Sprint(r)), debug.Stack())
			f.Log.Trouble("", "run", fmt.Errorf("panic: %v at %s", r, debug.Stack()))
			code = status.TempFail
		}
		f.close()
	}()
	err := p.dispatch(ctx, f, args)
	if err == nil {
		return status.OK
	}
	code = status.Exit(err)
	if f.kind.notAllowed(err) {
		code = status.NotAllowed
	}
	if code == status.Usage && p.UsageStatus != nil {
		code = p.UsageStatus(args)
	}
	if text := err.Error(); text != "" {
		fmt.Fprintf(f.Stderr, "%s: %s\n", p.Name, visible.Line(text+f.wayOut(err)))
		if f.muted {
			f.Log.Trouble("", "run", err)
		}
	}
	return code
}

// dispatch finds the face that args call for and runs it.
func (p Program) dispatch(ctx context.Context, f *Frame, args []string) error {
	face := Verb{Name: p.Name, Usage: p.Usage, Operands: p.Operands, Flags: p.Flags,
		Action: p.Action, Verbs: p.Verbs, KeepRoot: p.KeepRoot, Kind: p.Kind, StartsPrograms: p.StartsPrograms}
	name := p.Name
	var before []string // options before a verb
	for {
		at := face.verbAt(args)
		if at == len(args) {
			break
		}
		v := find(face.Verbs, args[at])
		if v == nil {
			break
		}
		before = append(before, args[:at]...)
		kind := cmp.Or(v.Kind, face.Kind)
		face, args = *v, args[at+1:]
		face.Kind = kind
		name += " " + v.Name
	}
	app := face.app(name)
	words, err := lex(slices.Concat(before, args), app.Flags, p.Optional)
	if err != nil {
		return status.UsageError("%v (see %s --help)", err, name)
	}
	// cli answers --help itself, in another form: it must not see it.
	if i := slices.Index(words, "--help"); i >= 0 && i < slices.Index(words, "--") {
		return face.help(f, app)
	}
	app.Action = func(c *cli.Context) error {
		switch {
		case c.Bool("version"):
			_, err := fmt.Fprintf(f.Stdout, "%s %s\n", p.Name, Version)
			return err
		case face.Action == nil:
			return missingVerb(name, c.Args().First())
		}
		f.kind = face.Kind
		if err := f.open(c, face); err != nil {
			return err
		}
		return face.Action(ctx, f, c)
	}
	return app.RunContext(ctx, append([]string{p.Name}, words...))
}

// verbAt is where in args a verb may stand. A face that can take operands wants
// it as the first word, for an operand may look like one; a face that does
// nothing without a verb takes it behind options too.
func (v Verb) verbAt(args []string) int {
	if v.Action != nil || len(args) == 0 {
		return 0
	}
	l := newLexer(v.app("").Flags, "")
	for i := 0; i < len(args); i++ {
		name, long := strings.CutPrefix(args[i], "--")
		switch {
		case !strings.HasPrefix(args[i], "-"), args[i] == "--":
			return i
		case long && l.takes[name]:
			i++ // its value
		}
	}
	return len(args)
}

func missingVerb(name, word string) error {
	if word == "" {
		return status.UsageError("a verb is missing (see %s --help)", name)
	}
	return status.UsageError("unknown verb %q (see %s --help)", word, name)
}

func find(verbs []Verb, name string) *Verb {
	for i := range verbs {
		if verbs[i].Name == name {
			return &verbs[i]
		}
	}
	return nil
}

// app builds the cli application of one face.
func (v Verb) app(name string) *cli.App {
	flags := append([]cli.Flag{}, v.Flags...)
	flags = append(flags,
		&cli.StringFlag{Name: "home", Usage: "the home `DIR` (default: $PAPERPATH_HOME, then " + defaultHome + ")"},
		&cli.StringFlag{Name: "now", Usage: "begin at this `TIME` (RFC 3339), for tests"},
		&cli.BoolFlag{Name: "help", Usage: "print this help and exit"},
		&cli.BoolFlag{Name: "version", Usage: "print the version and exit"})
	return &cli.App{
		Name: name, HelpName: name, Usage: v.Usage, ArgsUsage: v.Operands, Flags: flags,
		HideHelp: true, HideVersion: true, HideHelpCommand: true, DisableSliceFlagSeparator: true,
		ExitErrHandler: func(*cli.Context, error) {},
		OnUsageError: func(_ *cli.Context, err error, _ bool) error {
			return status.UsageError("%v (see %s --help)", err, name)
		},
	}
}

// help prints the face's help on stdout.
func (v Verb) help(f *Frame, app *cli.App) error {
	var b strings.Builder
	fmt.Fprintf(&b, "usage: %s [options]", app.Name)
	if v.Operands != "" {
		b.WriteString(" " + v.Operands)
	}
	fmt.Fprintf(&b, "\n%s\n", v.Usage)
	if len(v.Verbs) > 0 {
		b.WriteString("\nverbs:\n")
		for _, verb := range v.Verbs {
			fmt.Fprintf(&b, "  %-10s %s\n", verb.Name, verb.Usage)
		}
	}
	b.WriteString("\noptions:\n")
	for _, fl := range app.VisibleFlags() {
		fmt.Fprintf(&b, "  %s\n", strings.NewReplacer("\t", "  ", " (default: false)", "").Replace(fl.String()))
	}
	_, err := f.Stdout.WriteString(b.String())
	return err
}

// open finds the home, opens settings and log, and gives up what the face does
// not need. Nothing is made.
func (f *Frame) open(c *cli.Context, face Verb) error {
	home := c.String("home")
	if home == "" {
		home = os.Getenv("PAPERPATH_HOME")
	}
	if home == "" {
		home = defaultHome
	}
	home, err := filepath.Abs(home)
	if err != nil {
		return status.Temp("4.3.5", "cannot find the home", err)
	}
	f.Home = home
	start := c.String("now")
	if start == "" {
		start = os.Getenv("PAPERPATH_NOW")
	}
	if f.Clock, err = clock.Parse(start); err != nil {
		return status.UsageError("%v", err)
	}
	if !face.KeepRoot {
		if err := f.GiveUpRoot(); err != nil {
			return err
		}
	}
	f.Control = control.Open(home, time.Now) // compared with mtimes, which never are shifted
	f.Log = maillog.Open(home, f.Name, f.logsTo(), f.Clock.Now)
	if !face.StartsPrograms {
		f.forgoPrivileges()
	}
	return f.refuseRoot(face.Kind)
}

// Spool opens the spool on its first use, and again where the settings that it
// holds have changed. What was open stays so: sessions and attempts work on it.
func (f *Frame) Spool() (*spool.Spool, error) {
	if err := spool.CheckMark(filepath.Join(f.Home, "spool")); err != nil {
		return nil, err
	}
	host, err := f.Control.Hostname()
	if err != nil {
		return nil, err
	}
	octets, inodes, err := f.Control.Reserve()
	if err != nil {
		return nil, err
	}
	with := spoolSettings{host, octets, inodes}
	if n := len(f.spools); n > 0 && f.opened == with {
		return f.spools[n-1], nil
	}
	sp, err := spool.Open(f.Home, spool.Options{Now: f.Clock.Now, Shifted: f.Clock.Shifted(),
		Hostname: host, Reserve: octets, Inodes: inodes})
	if err != nil {
		return nil, err
	}
	f.spools, f.opened = append(f.spools, sp), with
	return sp, nil
}

// spoolSettings is what an open spool knows of control/.
type spoolSettings struct {
	host           string
	octets, inodes int64
}

func (f *Frame) close() {
	for _, sp := range f.spools {
		sp.Close()
	}
	for _, t := range f.tallies {
		t.Close()
	}
}
