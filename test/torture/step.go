package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"paperpath/test/harness"
)

// ran is what a traced step left behind.
type ran struct {
	ended
	yes     bool     // the client was told that it is done
	replies []string // the last line of each reply that was not the expected one
	stderr  string
}

// patience is how long a traced program may take.
const patience = 60 * time.Second

// step runs the scenario's program once under the tracer.
func (w *world) step(s *scenario, h hook) (ran, error) {
	mode := s.peer
	if mode == "" {
		mode = "ok"
	}
	if err := w.sink.SetMode(mode); err != nil {
		return ran{}, err
	}
	if !s.stays {
		defer w.sink.SetMode("ok")
	}
	errs, err := scratch()
	if err != nil {
		return ran{}, err
	}
	defer errs.Close()
	if err := w.hand(); err != nil {
		return ran{}, err
	}
	p := process{path: w.programs.Path(s.program), args: s.args(w), limit: patience, as: w.credential(),
		env: append(w.programs.Env(w.home), "GOMAXPROCS=1", "TZ=UTC")}
	r, err := w.attach(p, s, errs, h)
	if err != nil {
		return r, err
	}
	text, err := io.ReadAll(io.NewSectionReader(errs, 0, 1<<20))
	r.stderr = string(text)
	return r, err
}

// scratch returns a file without a name, outside everything under test.
func scratch() (*os.File, error) {
	f, err := os.CreateTemp("", "paperpath-torture")
	if err == nil {
		os.Remove(f.Name())
	}
	return f, err
}

// attach connects the program's standard input and output: to a file, or to a
// client that speaks the dialogue.
func (w *world) attach(p process, s *scenario, errs *os.File, h hook) (r ran, err error) {
	if s.dialog == nil {
		in, err := scratch()
		if err != nil {
			return r, err
		}
		defer in.Close()
		if _, err := in.WriteAt(s.input, 0); err != nil {
			return r, err
		}
		p.files = [3]*os.File{in, errs, errs}
		if s.watches != "" {
			e := &ender{}
			defer e.over.Store(true)
			p.began = func(pid int) { go e.end(pid, func() bool { return len(w.entries(string(s.watches))) == 0 }) }
			h = e.watch(h)
		}
		r.ended, err = w.tracer.run(p, h)
		r.yes = r.status == 0
		return r, err
	}
	ours, theirs, err := socketPair()
	if err != nil {
		return r, err
	}
	p.files = [3]*os.File{theirs, theirs, errs}
	p.began = func(int) { theirs.Close() }
	client := make(chan bool)
	go func() {
		defer close(client)
		defer ours.Close()
		r.yes, r.replies = converse(harness.Converse(ours), s.dialog)
	}()
	e, err := w.tracer.run(p, h)
	<-client
	r.ended = e
	return r, err
}

func socketPair() (net.Conn, *os.File, error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	ours := os.NewFile(uintptr(fds[0]), "client")
	defer ours.Close()
	conn, err := net.FileConn(ours)
	return conn, os.NewFile(uintptr(fds[1]), "program"), err
}

// converse speaks the dialogue up to its end or the first reply that is not
// the one expected, after which it says QUIT.
func converse(c *harness.Conversation, dialog []exchange) (yes bool, others []string) {
	for _, x := range dialog {
		reply, err := c.Reply()
		if err != nil {
			return yes, others
		}
		last := reply[strings.LastIndex(reply, "\n")+1:]
		if !strings.HasPrefix(last, x.reply) {
			c.Write([]byte("QUIT\r\n"))
			return yes, append(others, last)
		}
		yes = yes || x.yes
		if x.send == "" {
			continue
		}
		if _, err := c.Write([]byte(x.send)); err != nil {
			// What the server said before it went may still be on its way.
			if reply, err := c.Reply(); err == nil {
				others = append(others, reply)
			}
			return yes, others
		}
	}
	return yes, others
}

// settle finishes everything after a step: the stages run without faults, a person does
// what people do, and the stages run again.
func (w *world) settle(s *scenario, yes bool) error {
	if s.mend != nil {
		if err := s.mend(w); err != nil {
			return err
		}
	}
	if err := w.drain(); err != nil {
		return err
	}
	if s.after != nil {
		if err := s.after(w, yes); err != nil {
			return err
		}
		if err := w.drain(); err != nil {
			return err
		}
	}
	if held := w.entries("hold"); len(held) > 0 {
		return fmt.Errorf("held: %s: %s", filepath.Base(held[0]), w.reason("hold"))
	}
	return nil
}

// reason returns the reason of one of the entries in the inboxes.
func (w *world) reason(inboxes ...string) string {
	for _, inbox := range inboxes {
		names, _ := filepath.Glob(filepath.Join(w.home, "spool", inbox, "reason/*"))
		for _, name := range names {
			text, _ := os.ReadFile(name)
			return string(text)
		}
	}
	return "no reason"
}
