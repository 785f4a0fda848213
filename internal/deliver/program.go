package deliver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/callout"
	"paperpath/internal/rules"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// Limits of a program of a user.
const (
	programTime   = 5 * time.Minute
	programGrace  = 10 * time.Second
	programCPU    = time.Minute
	programMemory = 1 << 30 // bytes of data of each process
	programOutput = 1 << 20
)

// text is what programs and files get: from our result fields on, without the envelope.
type text interface {
	io.ReaderAt
	Size() int64
}

// ranLog writes the event for a program.
type ranLog interface {
	Program(key, to, command, result, output string)
}

// errNoPrograms says that a user may not run programs.
var errNoPrograms = errors.New("control/user-programs does not let users run programs")

// notAsRoot is the error of an instruction to run a program or to write a file where we are
// root: it would be done with all of root's rights, whoever has written the rules.
func notAsRoot(step rules.Step) error {
	if os.Geteuid() != 0 {
		return nil
	}
	return temporary(step.Where, errors.New("maildeliver runs as root here, and as root it runs no program and writes no file for a user (mailctl init --owner)"))
}

// mayRun is the error of an instruction to run a program, where users may not. programs says
// whether they may.
func mayRun(programs func() (bool, error), step rules.Step) error {
	if allowed, err := programs(); err != nil {
		return err
	} else if !allowed {
		return temporary(step.Where, errNoPrograms)
	}
	return notAsRoot(step)
}

// program runs a program of the user's rules. more says that the instructions after it
// count.
func (o *own) program(ctx context.Context, step rules.Step, r *rules.Rules) (more bool, err error) {
	if o.begin != nil {
		o.begin()
	}
	c := callout.Call{Env: o.environment(r, extension(o.user, o.to)), Dir: o.user.Home, Input: io.NewSectionReader(o.message, 0, o.message.Size())}
	exit, err := run(ctx, c, command{o.key, o.to.String(), step.Text, step.Where}, o.log)
	return exit != 99, err
}

// command is a line for a program, and for whom it runs.
type command struct{ key, to, text, where string }

// run runs a command within our limits. The error is what its exit status means.
func run(ctx context.Context, c callout.Call, cmd command, log ranLog) (exit int, err error) {
	c.Path, c.Args = words(cmd.text)
	c.Time, c.Grace, c.CPU, c.Memory, c.Output = programTime, programGrace, programCPU, programMemory, programOutput
	r, err := c.Run(ctx)
	said := strings.Join(strings.Fields(visible.ASCII(r.Output)), " ")
	if err != nil {
		log.Program(cmd.key, cmd.to, cmd.text, err.Error(), said)
		return 0, status.Temp("4.3.0", "a program of the recipient failed", fmt.Errorf("%s: %w", cmd.where, err))
	}
	log.Program(cmd.key, cmd.to, cmd.text, fmt.Sprintf("exit status %d", r.Exit), said)
	enhanced, done := answerOf(r.Exit)
	switch {
	case done:
		return r.Exit, nil
	case enhanced[0] == '5':
		text := "a program of the recipient refuses the message"
		if said != "" {
			text += ": " + visible.Shorten(said, 300)
		}
		return r.Exit, &status.Error{Exit: status.Refused, Reply: 550, Enhanced: enhanced, Text: text,
			Err: fmt.Errorf("%s: exit status %d", cmd.where, r.Exit)}
	}
	why := fmt.Sprintf("%s: exit status %d", cmd.where, r.Exit)
	if said != "" {
		why += ": " + said
	}
	return r.Exit, status.Temp(enhanced, "a program of the recipient cannot take the message now", errors.New(why))
}

// answerOf is callout.Answer with what qmail-command(8) and dovecot-lda say beside it.
func answerOf(exit int) (enhanced string, done bool) {
	switch exit {
	case 77: // EX_NOPERM
		return "5.7.0", false
	case 112:
		return "5.3.0", false
	}
	return callout.Answer(exit)
}

// shellChars are the characters that mean something to a shell. A command without them is
// executed as it is, and nothing can be read into it.
const shellChars = "&;()<>|\"'`$\\*?[]{}~#!%^=\n"

const shell = "/bin/sh"

// words splits a command: at blanks, or for the shell where it has a character of the shell's
// or begins with a word that only a shell knows.
func words(text string) (path string, args []string) {
	list := strings.Fields(text)
	if len(list) > 0 && !strings.ContainsAny(text, shellChars) {
		if path := find(list[0]); path != "" {
			return path, list[1:]
		}
	}
	return shell, []string{"-c", text}
}

// find looks for a program where its PATH leads; "" for none.
func find(name string) string {
	if strings.Contains(name, "/") {
		return name
	}
	for _, dir := range strings.Split(callout.SearchPath, ":") {
		path := dir + "/" + name
		if st, err := os.Stat(path); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
			return path
		}
	}
	return ""
}

// environment is that of qmail-command(8): all that a program learns beside the message.
func (o *own) environment(r *rules.Rules, ext string) []string {
	local, host := o.to.Local, o.to.Domain
	sender, recipient := o.from.String(), o.to.String()
	env := []string{"SENDER=" + sender, "NEWSENDER=" + o.newSender(r), "RECIPIENT=" + recipient, "LOCAL=" + harmless(local), "HOST=" + host,
		"EXT=" + harmless(ext), "USER=" + harmless(o.userName()), "HOME=" + o.user.Home, "SHELL=" + shell,
		"RPLINE=Return-Path: <" + sender + ">\n", "DTLINE=Delivered-To: " + recipient + "\n",
		"UFLINE=" + fromLine(sender, o.now())}
	for n, rest := 2, ext; n <= 4; n++ {
		_, rest, _ = strings.Cut(rest, "-")
		env = append(env, fmt.Sprintf("EXT%d=%s", n, harmless(rest)))
	}
	for n, rest := 2, host; n <= 4; n++ {
		if at := strings.LastIndexByte(rest, '.'); at >= 0 {
			rest = rest[:at]
		} else {
			rest = ""
		}
		env = append(env, fmt.Sprintf("HOST%d=%s", n, rest))
	}
	if r.IsDefault {
		env = append(env, "DEFAULT="+harmless(r.Default))
	}
	return env
}

func (o *own) newSender(r *rules.Rules) string {
	p := plan{forwards: make([]addr.Address, 1)}
	if o.returnPath(&p, r); p.verp {
		return p.from.Local + "-@" + p.from.Domain + "-@[]" // qmail-command(8)
	} else if p.from != nil {
		return p.from.String()
	}
	return o.from.String()
}

func (o *own) userName() string {
	local, _ := addr.Split(o.user.Address)
	return local
}

// harmless is a part of an address for the environment, empty if it has characters that
// only quoted local parts have: shells have taken a value for a function.
func harmless(s string) string {
	if strings.ContainsAny(s, "(){}\"\\;<>,[]: ") || s != visible.Line(s) {
		return ""
	}
	return s
}

// fromLine is the line that begins a message in an mbox.
func fromLine(sender string, now time.Time) string {
	if sender == "" {
		sender = "MAILER-DAEMON"
	}
	sender = strings.Map(func(r rune) rune {
		if r <= ' ' || r == 127 {
			return '-'
		}
		return r
	}, sender)
	return "From " + sender + " " + now.UTC().Format("Mon Jan _2 15:04:05 2006") + "\n"
}
