package control

import (
	"context"
	"fmt"
	"strings"
	"syscall"

	"paperpath/internal/status"
)

// RunProgramsAs makes the programs that control/users names run as another user if we
// are root: whoever may write that file need not be root. It is to be called at the
// start.
func (c *Control) RunProgramsAs(uid, gid int) {
	c.runAs = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid), Groups: []uint32{uint32(gid)}}
}

// lookupMost is how many programs run at a time.
const lookupMost = 16

// execAsker is the backend exec: a program that is run for each lookup.
type execAsker struct {
	program Program
	control *Control
}

func openExec(c *Control, argument string) (asker, error) {
	p, err := parseProgram(argument)
	return execAsker{p, c}, err
}

func (e execAsker) String() string { return "exec:" + e.program[0] }
func (e execAsker) check() error   { return e.program.check() }

func (e execAsker) ask(key string) (text string, found bool, err error) {
	e.control.slots <- struct{}{}
	defer func() { <-e.control.slots }()
	how := running{as: e.control.runAs, limit: programTime}
	out, exit, err := e.program.run(context.Background(), how, nil, key)
	switch {
	case err != nil:
		return "", false, fmt.Errorf("exec: %w", err)
	case exit == status.NoMailbox:
		return "", false, nil
	case exit != 0:
		return "", false, fmt.Errorf("%s: exit status %d", e, exit)
	}
	// If anything follows the line, asked reports it.
	return strings.TrimSuffix(string(out), "\n"), true, nil
}
