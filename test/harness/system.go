package harness

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Wait calls cond until it holds, for d at most; if it never does, the error says what
// Wait waited for.
func Wait(what string, d time.Duration, cond func() bool) error {
	deadline := time.Now().Add(d)
	for pause := time.Millisecond; !cond(); pause = min(2*pause, 50*time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("waited %v in vain for %s", d, what)
		}
		time.Sleep(pause)
	}
	return nil
}

// System is a running `mailctl start`.
type System struct {
	cmd    *exec.Cmd
	done   chan struct{}
	stderr string // its file
}

// Start runs `mailctl start` in the home and returns once that is ready.
func (h *Home) Start() (*System, error) {
	s := &System{done: make(chan struct{}), stderr: filepath.Join(h.Dir, "log", "start.stderr")}
	errs, err := os.Create(s.stderr)
	if err != nil {
		return nil, err
	}
	defer errs.Close()
	s.cmd = exec.Command(h.Programs.Path("mailctl"), "start")
	s.cmd.Env = h.Programs.Env(h.Dir)
	s.cmd.Stderr = errs
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	ready := make(chan bool, 1)
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if lines.Text() == "ready" {
				ready <- true
			}
		}
		s.cmd.Wait()
		close(s.done)
	}()
	return s, s.awaitReady(ready)
}

func (s *System) awaitReady(ready chan bool) error {
	var err error
	select {
	case <-ready:
		return nil
	case <-s.done:
		err = errors.New("mailctl start ended before it was ready")
	case <-time.After(time.Minute):
		err = errors.New("mailctl start was not ready after a minute")
	}
	s.Kill()
	text, _ := os.ReadFile(s.stderr)
	return fmt.Errorf("%w: %s", err, text)
}

// PID returns the process id of mailctl.
func (s *System) PID() int { return s.cmd.Process.Pid }

// Stop ends the system with SIGTERM and reports anything but exit status 0
// within a minute. It may be called again.
func (s *System) Stop() error {
	s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.done:
	case <-time.After(time.Minute):
		s.Kill()
		return errors.New("mailctl start did not end within a minute of SIGTERM")
	}
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("mailctl start: exit status %d", code)
	}
	return nil
}

// Kill ends mailctl and every stage below it with SIGKILL.
func (s *System) Kill() {
	pids := append(Descendants(s.PID()), s.PID())
	for _, pid := range pids {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	<-s.done
}

// Descendants returns the processes below pid, nearest first.
func Descendants(pid int) []int {
	var all []int
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, t := range tasks {
		text, _ := os.ReadFile(t)
		for _, word := range strings.Fields(string(text)) {
			var child int
			if _, err := fmt.Sscan(word, &child); err == nil {
				all = append(all, child)
				all = append(all, Descendants(child)...)
			}
		}
	}
	return all
}

// Resident returns the proportional set size of a process in bytes, or its resident
// size if the kernel does not say.
func Resident(pid int) int64 {
	if n := procKB(pid, "smaps_rollup", "Pss:"); n > 0 {
		return n
	}
	return procKB(pid, "status", "VmRSS:")
}

// PeakResident returns the largest resident size that a process had, in bytes.
func PeakResident(pid int) int64 { return procKB(pid, "status", "VmHWM:") }

func procKB(pid int, file, field string) int64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	for _, line := range strings.Split(string(text), "\n") {
		var kb int64
		if rest, ok := strings.CutPrefix(line, field); ok {
			fmt.Sscan(rest, &kb)
			return kb << 10
		}
	}
	return 0
}

// Report prints a line and adds it to the report that make check shows last.
func Report(format string, args ...any) {
	line := fmt.Sprintf(format, args...) + "\n"
	fmt.Print(line)
	if path := os.Getenv("PAPERPATH_REPORT"); path != "" {
		if f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644); err == nil {
			f.WriteString(line)
			f.Close()
		}
	}
}

// Missing reports that something was not tested because what is missing; it returns
// true if that is a failure, with CI=true.
func Missing(what string) bool {
	Report("MISSING: %s", what)
	return os.Getenv("CI") == "true"
}

// Unpacked returns the folder into which test/peers/fetch.sh unpacked a package, "" if it
// is not there.
func Unpacked(name string) string { return above(filepath.Join(".build/peers", name)) }

// above returns a path below the working directory or a directory above it, "" if there is none.
func above(name string) string {
	dir, err := os.Getwd()
	for ; err == nil && dir != "/"; dir = filepath.Dir(dir) {
		if found, err := filepath.EvalSymlinks(filepath.Join(dir, name)); err == nil {
			return found
		}
	}
	return ""
}
