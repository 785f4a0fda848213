package deliver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/spool"
	"paperpath/internal/status"
	"paperpath/maildir"
)

// Session does the work on one message in a process of the mailbox's owner: with the rules of
// this user, whose home it opens, and nothing of Paperpath but the message, of which it has
// file. It is told over conn what to do, asks there what it has to know, and says what it did.
func Session(ctx context.Context, conn net.Conn, file *os.File) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in := json.NewDecoder(conn)
	var o order
	if err := in.Decode(&o); err != nil {
		return status.UsageError("session is for maildeliver itself: %v", err)
	}
	s := &session{out: json.NewEncoder(conn), answers: make(chan heard)}
	go func() {
		defer cancel() // whoever gave the order has ended, or wants us to end
		defer close(s.answers)
		for {
			var a heard
			if in.Decode(&a) != nil {
				return
			}
			s.answers <- a
		}
	}()
	d, err := s.work(ctx, o, file)
	if err != nil {
		return s.say(said{Failed: failureOf(err)})
	}
	return s.say(said{Done: &d})
}

// session is the end of the conversation in the process of the owner.
type session struct {
	mu      sync.Mutex // of out
	out     *json.Encoder
	answers chan heard
}

// Fail says over a conversation that no process could be started.
func Fail(conn io.Writer, err error) { _ = json.NewEncoder(conn).Encode(said{Failed: failureOf(err)}) }

func (s *session) say(w said) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Encode(w)
}

func (s *session) work(ctx context.Context, o order, file *os.File) (d done, err error) {
	defer status.Catch(&err)
	to, err := addr.Parse(o.To)
	if err != nil {
		return d, err
	}
	from, _ := addr.Parse(o.From) // the null path is no address
	began, shift := time.Now(), o.Now
	m := &mail{user: &o.User, to: to, from: from, key: o.Copy.Key, size: o.Copy.Len(), ours: o.Ours, folder: o.Folder,
		body: o.Copy.WithResults(file), message: func() io.Reader { return o.Copy.Incoming(file) },
		now: func() time.Time { return shift.Add(time.Since(began)) }, log: s, about: s}
	return m.perform(ctx, o.Copy, file, func(path string) error { return s.say(said{Stored: path}) })
}

// perform does all that the rules of the user say, but for what needs the spool. stored is
// called for each Maildir that has got the message.
func (m *mail) perform(ctx context.Context, c spool.Copy, file io.ReaderAt, stored func(path string) error) (d done, err error) {
	defer m.close()
	r, err := m.decide(ctx)
	if err != nil {
		return d, err
	}
	d = done{Ran: r.plan.ran, List: r.rules != nil && r.rules.List, VERP: r.rules != nil && r.rules.VERP, Warn: r.warn}
	for _, a := range r.plan.forwards {
		d.Forwards = append(d.Forwards, a.String())
	}
	for _, n := range r.answer {
		d.Answer = n.Body
	}
	boxes := []box{}
	for _, path := range r.plan.copies {
		boxes = append(boxes, box{path: path})
	}
	if r.plan.store {
		boxes = append(boxes, r.box)
	}
	for _, b := range boxes {
		fresh, taken, err := c.Store(file, b.path, b.others...)
		if err == nil && fresh {
			err = stored(b.path)
		}
		if err != nil {
			return d, err
		}
		if taken != "" {
			d.Taken = taken
			return d, nil
		}
		d.Stored = true
	}
	return d, nil
}

// Program implements mailLog.
func (s *session) Program(_, _, command, result, output string) {
	_ = s.say(said{Ran: []string{command, result, output}})
}

// Begin says that a program begins.
func (s *session) Begin() { _ = s.say(said{Begin: true}) }

// Trouble implements mailLog.
func (s *session) Trouble(_, op string, err error) {
	_ = s.say(said{Trouble: []string{op, err.Error()}})
}

// Delivered implements mailLog.
func (s *session) Delivered(_, _, _, _ string) {}

func (s *session) ask(w said) (heard, error) {
	if err := s.say(w); err != nil {
		return heard{}, fmt.Errorf("ask maildeliver: %w", err)
	}
	a, ok := <-s.answers
	if !ok {
		return a, errors.New("maildeliver is stopping")
	}
	return a, a.Failed.err()
}

func (s *session) yes(what string) (bool, error) {
	a, err := s.ask(said{Ask: what})
	return a.Yes, err
}

func (s *session) text(what string) (string, error) {
	a, err := s.ask(said{Ask: what})
	return a.Text, err
}

func (s *session) Delimiters() (string, error) { return s.text("Delimiters") }
func (s *session) Hostname() (string, error)   { return s.text("Hostname") }
func (s *session) JunkFolder() (string, error) { return s.text("JunkFolder") }
func (s *session) Programs() (bool, error)     { return s.yes("Programs") }
func (s *session) Passed() (bool, error)       { return s.yes("Passed") }
func (s *session) Junk() (bool, error)         { return s.yes("Junk") }
func (s *session) MayAnswer() (bool, error)    { return s.yes("MayAnswer") }
func (s *session) Spend() (bool, error)        { return s.yes("Spend") }

func (s *session) MayForward() error {
	_, err := s.ask(said{Ask: "MayForward"})
	return err
}

func (s *session) Wish() (control.Wish, error) {
	text, err := s.text("Wish")
	return control.Wish(text), err
}

func (s *session) Room(used maildir.Usage, fits bool) (bool, error) {
	a, err := s.ask(said{Ask: "Room", Usage: usage{used.Octets, used.Messages, fits}})
	return a.Yes, err
}
