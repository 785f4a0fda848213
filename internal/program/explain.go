package program

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/urfave/cli/v2"

	"paperpath/internal/control"
	"paperpath/internal/explain"
	"paperpath/internal/home"
	"paperpath/internal/spool"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// Explain prints the decisions for each operand, as Say does. The error is the one with the
// highest exit status.
func Explain(h *home.Home, c *cli.Context, decide func(address string, t *explain.Trail) error) error {
	if !c.Args().Present() {
		return status.UsageError("no address (see %s --help)", c.App.Name)
	}
	var worst error
	for _, address := range c.Args().Slice() {
		var trail explain.Trail
		said, failed := Say(h, c, &trail, decide(address, &trail))
		if failed != nil {
			return failed
		}
		worst = status.Worse(worst, said)
	}
	return worst
}

// Say prints a trail on standard output, as text or with --json. An error that is the outcome,
// such as that there is no such mailbox, is said there; one that prevented the caller from
// knowing the outcome is said on standard error, with its way out, and the trail has no
// outcome then. said has the exit status of err and no text, since all is said; failed
// is the error of writing.
func Say(h *home.Home, c *cli.Context, t *explain.Trail, err error) (said, failed error) {
	unknown := prevented(h, err)
	if unknown {
		t.Outcome = ""
	}
	if failed := t.Write(h.Stdout, c.Bool("json")); failed != nil {
		return nil, failed
	}
	if err == nil {
		return nil, nil
	}
	if unknown {
		name, _, _ := strings.Cut(c.App.Name, " ") // without the verb
		f := frame{Home: h}
		fmt.Fprintf(h.Stderr, "%s: %s\n", name, visible.Line(err.Error()+f.wayOut(err)))
	}
	exit := status.Exit(err)
	if Person.notAllowed(err) {
		exit = status.NotAllowed
	}
	return &status.Error{Exit: exit}, nil
}

// prevented reports whether err is none of the mail's, but the caller's: the command line is
// wrong, there is no home, or somebody else may read its files.
func prevented(h *home.Home, err error) bool {
	switch {
	case err == nil:
		return false
	case status.Exit(err) == status.Usage, control.NoDefault(err):
		return true
	case status.IsTemporary(err) && spool.CheckHome(h.Dir) != nil:
		return true
	}
	f := frame{Home: h}
	return errors.Is(err, fs.ErrPermission) && f.wayOut(err) != ""
}
