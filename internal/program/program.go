// Package program is the frame of every Paperpath program: it reads the options,
// opens the home, and turns what the program returns into an exit status. It is for
// cmd/ only: no other package deals with a command line.
package program

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"paperpath/internal/home"
	"paperpath/internal/listen"
	"paperpath/internal/rights"
	"paperpath/internal/spool"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// Version is the version of all programs.
const Version = "0.1.0"

// commit is what the programs were built from. Only the linker sets it (make all); ""
// where there is no repository.
var commit string

// version is what --version prints.
func version() string {
	if commit == "" {
		return Version
	}
	return Version + " (" + commit + ")"
}

// Action does the work of a program or a verb. ctx ends on SIGTERM and SIGINT.
type Action func(ctx context.Context, h *home.Home, c *cli.Context) error

// Program describes a program to the frame.
type Program struct {
	Name        string
	LogName     string     // in events, if it has another name there; "": Name
	Usage       string     // one line
	Operands    string     // as the synopsis shows them: "[address ...]"
	Flags       []cli.Flag // of the face without a verb; --home, --now, --help and --version come with the frame
	Optional    string     // letters of options whose value can only be glued on
	Action      Action     // of the face without a verb; nil: a verb is needed
	Verbs       []Verb
	UsageStatus int  // exit status of a usage error of the face without a verb; 0: 64
	KeepRoot    bool // the face without a verb stays root: it makes a home, or gives it up itself
	Kind        Kind // of the face without a verb

	// StartsPrograms says that the face without a verb starts programs of users.
	StartsPrograms bool
}

// Verb is a word that chooses another face of a program. It is a verb only as the
// first operand before "--".
type Verb struct {
	Name     string
	Usage    string
	Operands string
	Flags    []cli.Flag
	Action   Action
	Verbs    []Verb
	KeepRoot bool   // it stays root: its children give it up themselves
	Homeless bool   // it does not use the home that the options name
	As       string // the program whose user it becomes where each has its own; "": this one
	Kind     Kind   // Filter: that of the face above it

	StartsPrograms bool // of users, which may be set-id
}

// frame is a running program.
type frame struct {
	*home.Home
	verb  bool // a verb was given
	kind  Kind // of the face that runs
	muted bool // standard error was the client's

	homeless bool // the face uses no home, or none was looked for yet
}

// Main runs the program with the process's arguments and returns its exit
// status.
func Main(p Program) int {
	f := &frame{Home: home.New(cmp.Or(p.LogName, p.Name)), homeless: true}
	nameProcess(p.Name)
	rights.Confine()
	f.muted = muteClient()
	if err := enoughFiles(); err != nil {
		fmt.Fprintf(f.Stderr, "%s: %v\n", p.Name, err)
		return status.Exit(err)
	}
	catchBrokenPipes()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	return p.run(ctx, f, os.Args[1:])
}

// nameProcess has ps(1), top(1) and ss(8) show the program's name where it was started by
// /proc/self/exe, as in processes of other users: they would show "exe". Later it could not:
// the file is root's once the process is confined.
func nameProcess(name string) {
	fd, err := unix.Open("/proc/self/comm", unix.O_RDWR|unix.O_CLOEXEC, 0) // an os.File would need more descriptors
	if err != nil {
		return // the name is only for people
	}
	defer unix.Close(fd)
	comm := make([]byte, 16)
	if n, err := unix.Read(fd, comm); err == nil && string(comm[:n]) == "exe\n" {
		_, _ = unix.Write(fd, []byte(name))
	}
}

// catchBrokenPipes makes writing to a standard output or error without a reader an
// error, as with any other file. Otherwise SIGPIPE would end mailctl start, and with
// it the whole system, because a logger died, and the caller that gave us a message
// would get no exit status. In the programs that we start the signal has its default
// action again.
func catchBrokenPipes() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }

// muteClient keeps errors from the client: under inetd standard error is the client's
// socket, where only the protocol may be written. It reports whether that was so;
// errors then become events.
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

// Run runs the program with args at h, whose name and streams are set, and
// returns the exit status.
func (p Program) Run(ctx context.Context, h *home.Home, args []string) (code int) {
	return p.run(ctx, &frame{Home: h, homeless: true}, args)
}

func (p Program) run(ctx context.Context, f *frame, args []string) (code int) {
	defer f.Close()
	err := status.Guard(func() error { return p.dispatch(ctx, f, args) })
	if err == nil {
		return status.OK
	}
	code = status.Exit(err)
	if f.kind.notAllowed(err) {
		code = status.NotAllowed
	}
	if code == status.Usage && !f.verb {
		code = cmp.Or(p.UsageStatus, code)
	}
	if text := err.Error(); text != "" && !f.readerIsGone(err) {
		stack := status.Stack(err)
		fmt.Fprintf(f.Stderr, "%s: %s\n%s", p.Name, visible.Line(text+f.wayOut(err)), stack)
		if f.kind == Server { // whoever supervises it names the reason
			_ = listen.NotifyStatus(text + f.wayOut(err))
		}
		if f.muted || stack != "" || f.kind == Server && status.Exit(err) != status.Usage {
			f.record(err)
		}
	}
	return code
}

// record writes the event of what ended the program, if it has found a home, and the log does
// not have it already.
func (f *frame) record(err error) {
	if f.Log == nil || status.IsLogged(err) || !spool.IsHome(f.Dir) {
		return
	}
	if f.GiveUpRoot() != nil { // others could not write to a log that root makes
		return
	}
	f.Log.Trouble("", "run", err)
}

// readerIsGone reports whether err only means that the reader of our standard output
// has had enough, like head(1).
func (f *frame) readerIsGone(err error) bool {
	var writing *fs.PathError
	return errors.As(err, &writing) && errors.Is(err, syscall.EPIPE) && writing.Path == f.Stdout.Name()
}

// dispatch finds the face that args call for and runs it.
func (p Program) dispatch(ctx context.Context, f *frame, args []string) error {
	face := Verb{Name: p.Name, Usage: p.Usage, Operands: p.Operands, Flags: p.Flags,
		Action: p.Action, Verbs: p.Verbs, KeepRoot: p.KeepRoot, Kind: p.Kind,
		StartsPrograms: p.StartsPrograms}
	name := p.Name
	var before []string // options before a verb
	for {
		at := face.verbAt(args, p.Optional)
		if at == len(args) {
			break
		}
		v := find(face.Verbs, args[at])
		if v == nil {
			break
		}
		f.verb = true
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
	// cli would answer --help itself, in another format, so it must not see the
	// option.
	if i := slices.Index(words, "--help"); i >= 0 && i < slices.Index(words, "--") {
		return face.help(f.Stdout, app)
	}
	app.Action = func(c *cli.Context) error {
		switch {
		case c.Bool("version"):
			_, err := fmt.Fprintf(f.Stdout, "%s %s\n", p.Name, version())
			return err
		case face.Action == nil:
			return missingVerb(name, c.Args().First())
		}
		f.kind = face.Kind
		keep := home.Rights{Root: face.KeepRoot, SetUser: face.StartsPrograms, Homeless: face.Homeless, As: face.As}
		f.homeless = face.Homeless
		if err := f.Open(c.String("home"), c.String("now"), keep); err != nil {
			return face.Kind.refusal(err)
		}
		if err := f.refuseRoot(face.Kind); err != nil {
			return err
		}
		if face.Kind != Person {
			f.LogBrokenRows()
		}
		if face.Kind == Server {
			wakeSeldom()
		}
		return face.Action(ctx, f.Home, c)
	}
	return app.RunContext(ctx, append([]string{p.Name}, words...))
}

// verbAt is the index in args of the verb of a face that has verbs: the first
// operand, wherever options are. len(args) means that there is none.
func (v Verb) verbAt(args []string, optional string) int {
	if len(v.Verbs) == 0 {
		return len(args)
	}
	return table(append(v.flagsBelow(), v.app("").Flags...), optional).FirstOperand(args)
}

// flagsBelow are the options of all verbs of the face: they may stand before
// the verb too.
func (v Verb) flagsBelow() (flags []cli.Flag) {
	for _, below := range v.Verbs {
		flags = append(flags, below.flagsBelow()...)
		flags = append(flags, below.Flags...)
	}
	return flags
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
		&cli.StringFlag{Name: "home",
			Usage: "the home `DIR` (default: $PAPERPATH_HOME, then " + rights.Default + ")"},
		&cli.StringFlag{Name: "now", Usage: "start the clock at `TIME` (RFC 3339), for tests"},
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
func (v Verb) help(out io.Writer, app *cli.App) error {
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
		fmt.Fprintf(&b, "  %s\n", strings.NewReplacer("\t", "  ", " (default: false)",
			"").Replace(fl.String()))
	}
	_, err := io.WriteString(out, b.String())
	return err
}
