package bench

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Spawned is what running a command for each message brought about.
type Spawned struct {
	Began, Ended time.Time
	Took         []time.Duration // of each command
	User, System float64         // processor time of all, in seconds
	Failed       int
	Why          string // of the first
}

// Add adds those of others.
func (s *Spawned) Add(x Spawned) {
	s.Took = append(s.Took, x.Took...)
	s.User, s.System, s.Failed = s.User+x.User, s.System+x.System, s.Failed+x.Failed
	if s.Why == "" {
		s.Why = x.Why
	}
}

// Figures are the rate, and what the table has beside it.
func (s Spawned) Figures() (rate float64, figures map[string]float64) {
	n := float64(len(s.Took))
	return n / s.Ended.Sub(s.Began).Seconds(), map[string]float64{
		"p50 ms": Share(s.Took, 0.5), "p99 ms": Share(s.Took, 0.99), "user ms": s.User * 1e3 / n, "system ms": s.System * 1e3 / n,
	}
}

// Spawner is how commands are run.
type Spawner struct {
	AtOnce   int
	Messages string                                     // their directory
	Inside   string                                     // the directory as the command sees it; "": as Messages
	Enter    func(command ...string) (*exec.Cmd, error) // another root directory; nil: none
	Env      []string                                   // nil: that of this process
}

// Run runs command, with the recipient behind it, for each message, by the program test/bench/spawner; then
// calls arrived, before anything that was started inside ends.
func (s Spawner) Run(spawner string, command []string, arrived func(Spawned) error) error {
	dir := s.Inside
	if dir == "" {
		dir = s.Messages
	}
	enter := s.Enter
	if enter == nil {
		enter = func(command ...string) (*exec.Cmd, error) { return exec.Command(command[0], command[1:]...), nil }
	}
	cmd, err := enter(append([]string{spawner, strconv.Itoa(s.AtOnce), dir}, command...)...)
	if err != nil {
		return err
	}
	if s.Env != nil {
		cmd.Env = s.Env
	}
	var said strings.Builder
	cmd.Stderr = &said
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	err = s.result(out, arrived)
	if err = errors.Join(err, in.Close(), cmd.Wait()); err != nil {
		return fmt.Errorf("%s: %w\n%s", command[0], err, &said)
	}
	return nil
}

// result reads it.
func (s Spawner) result(out io.Reader, arrived func(Spawned) error) error {
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("read the result: %w", err)
	}
	var x Spawned
	if err := json.Unmarshal(line, &x); err != nil {
		return fmt.Errorf("read the result: %w", err)
	}
	return arrived(x)
}

// Write writes message i, with its recipient in the name of its file.
func (s Spawner) Write(i int, recipient, text string) error {
	return os.WriteFile(filepath.Join(s.Messages, fmt.Sprintf("%06d:%s", i, recipient)), []byte(text), 0o644)
}
