package program

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"paperpath/internal/home"
	"paperpath/internal/status"
)

// What ends a server is an event in the log of its home, once; where there is no home nothing
// is written.
func TestWhatEndsAServerIsAnEvent(t *testing.T) {
	broken := errors.New("control/concurrency:1: many")
	whole := []string{".paperpath", "spool/.paperpath"}
	for _, c := range []struct {
		name   string
		kind   Kind
		err    error
		marks  []string
		events int
	}{
		{"a server", Server, broken, whole, 1},
		{"a copy without the home's mark", Server, broken, whole[1:], 1},
		{"a volume that is not mounted", Server, broken, whole[:1], 1},
		{"no home, or half of one", Server, broken, nil, 0},
		{"nothing", Server, nil, whole, 0},
		{"a wrong command line", Server, status.UsageError("no"), whole, 0},
		{"not allowed", Server, &status.Error{Exit: status.NotAllowed, Text: "no"}, whole, 1},
		{"the log has it", Server, fmt.Errorf("again: %w", status.Logged(broken)), whole, 0},
		{"was told otherwise", Server, home.ErrInterrupted, whole, 0},
		{"a person", Person, broken, whole, 0},
		{"with a message", Agent, broken, whole, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, part := range []string{"control", "spool", "log"} {
				if err := os.Mkdir(filepath.Join(dir, part), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			for _, name := range append([]string{"control/root"}, c.marks...) {
				if err := os.WriteFile(filepath.Join(dir, name), []byte("*\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			p := Program{Name: "mailtest", Verbs: []Verb{{Name: "run", Kind: c.kind,
				Action: func(context.Context, *home.Home, *cli.Context) error { return c.err }}}}
			code, _, said := run(t, p, "--home", dir, "run")
			if code != status.Exit(c.err) || c.err != nil && !strings.Contains(said, c.err.Error()) {
				t.Errorf("status %d, %q", code, said)
			}
			text, err := os.ReadFile(filepath.Join(dir, "log", "mail.log"))
			if c.events == 0 && errors.Is(err, os.ErrNotExist) {
				return
			}
			want := " prog=mailtest event=trouble key=- op=run error="
			if strings.Count(string(text), want) != c.events || strings.Count(string(text), "\n") != c.events {
				t.Errorf("%v, the log: %s", err, text)
			}
		})
	}
}
