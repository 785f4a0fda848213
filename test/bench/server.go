// Package bench contains what the benchmarks share: servers with their processor time and
// memory, message texts, and the numbers in the tables.
package bench

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Server is a running server.
type Server struct {
	Name, Addr string
	cmd        *exec.Cmd
	output     bytes.Buffer
	gone       chan struct{}
}

// Start runs cmd, in a process group of its own, and waits until greets has no error.
func Start(name, addr string, cmd *exec.Cmd, greets func(addr string) error) (*Server, error) {
	s := &Server{Name: name, Addr: addr, cmd: cmd, gone: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &s.output, &s.output
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		cmd.Wait()
		close(s.gone)
	}()
	for deadline := time.Now().Add(time.Minute); ; {
		err := greets(addr)
		if err == nil {
			return s, nil
		}
		select {
		case <-s.gone:
			return nil, fmt.Errorf("%s ended: %s", name, &s.output)
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			s.Stop()
			return nil, fmt.Errorf("%s does not greet: %w", name, err)
		}
	}
}

// Stop ends the server and waits for its end.
func (s *Server) Stop() {
	s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.gone:
	case <-time.After(time.Minute):
		s.cmd.Process.Kill()
		<-s.gone
	}
}

// Kill ends the server without a chance to do anything more.
func (s *Server) Kill() {
	s.cmd.Process.Kill()
	<-s.gone
}

// Memory is the proportional set size of all the server's processes: a page
// that several have is counted once, in equal parts.
func (s *Server) Memory() (octets int64, processes int, err error) {
	for _, pid := range family(s.cmd.Process.Pid) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue
		}
		if err != nil {
			return 0, 0, err
		}
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) == 3 && f[0] == "Pss:" {
				n, err := strconv.ParseInt(f[1], 10, 64)
				if err != nil {
					return 0, 0, err
				}
				octets += n << 10
			}
		}
		processes++
	}
	return octets, processes, nil
}

// family returns a process and all that come from it.
func family(root int) []int {
	children := map[int][]int{}
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest)
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(f)))
		if len(fields) > 1 {
			parent, _ := strconv.Atoi(fields[1])
			children[parent] = append(children[parent], pid)
		}
	}
	all := []int{root}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all
}

// ProcessorTime is what each process of the server has spent so far, in
// nanoseconds, all threads together.
func (s *Server) ProcessorTime() map[int]int64 {
	spent := map[int]int64{}
	for _, pid := range family(s.cmd.Process.Pid) {
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
		for _, t := range threads {
			text, _ := os.ReadFile(t)
			on, _, _ := strings.Cut(string(text), " ")
			n, _ := strconv.ParseInt(on, 10, 64)
			spent[pid] += n
		}
	}
	return spent
}

// Since is the sum of what was spent after an earlier count, in seconds. What a
// process spent that has ended meanwhile is missed.
func (s *Server) Since(earlier map[int]int64) float64 {
	var sum int64
	for pid, n := range s.ProcessorTime() {
		sum += n - earlier[pid]
	}
	return float64(sum) / 1e9
}

// Spent is processor time in seconds.
type Spent struct{ User, System float64 }

// All is both together.
func (s Spent) All() float64 { return s.User + s.System }

// Minus is what was spent since.
func (s Spent) Minus(earlier Spent) Spent {
	return Spent{s.User - earlier.User, s.System - earlier.System}
}

// Spent is the processor time of all processes that the server has or had, if each was
// waited for by one that is still there.
func (s *Server) Spent() (sum Spent) {
	const hertz = 100 // USER_HZ
	for _, pid := range family(s.cmd.Process.Pid) {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		_, rest, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest)
		if len(fields) < 15 {
			continue
		}
		for i, f := range fields[11:15] { // utime, stime, cutime, cstime
			n, _ := strconv.ParseFloat(f, 64)
			if i%2 == 0 {
				sum.User += n / hertz
			} else {
				sum.System += n / hertz
			}
		}
	}
	return sum
}

// PID is the process that was started.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Gone reports whether it has ended.
func (s *Server) Gone() bool {
	select {
	case <-s.gone:
		return true
	default:
		return false
	}
}

// Output is what a server has said that has ended, "" before.
func (s *Server) Output() string {
	if !s.Gone() {
		return ""
	}
	return s.output.String()
}
