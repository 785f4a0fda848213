package control

import (
	"context"
	"fmt"
	"strings"

	"paperpath/internal/status"
)

// lookupMost is how many programs run at a time.
const lookupMost = 16

// onceAsker is the backend once: a program that is run for each lookup.
type onceAsker struct {
	program Program
	control *Control
}

func openOnce(c *Control, _, argument string) (asker, error) {
	p, err := parseProgram(argument)
	return onceAsker{p, c}, err
}

func (e onceAsker) String() string { return "once:" + e.program[0] }
func (e onceAsker) check() error   { return e.program.check() }

func (e onceAsker) ask(key string) (text string, found bool, err error) {
	e.control.slots <- struct{}{}
	defer func() { <-e.control.slots }()
	how := running{as: e.control.runAs, limit: programTime}
	out, exit, err := e.program.run(context.Background(), how, nil, key)
	switch {
	case err != nil:
		return "", false, fmt.Errorf("once: %w", err)
	case exit == status.NoMailbox:
		return "", false, nil
	case exit != 0:
		return "", false, fmt.Errorf("%s: exit status %d", e, exit)
	}
	// If anything follows the line, asked reports it.
	return strings.TrimSuffix(string(out), "\n"), true, nil
}
