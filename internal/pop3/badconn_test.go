package pop3

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
)

// badConn is a client that sends all its commands at once, and takes output by write.
type badConn struct {
	discardDeadlines
	commands *strings.Reader
	write    func(p []byte) (int, error)
}

func (c *badConn) Read(p []byte) (int, error)  { return c.commands.Read(p) }
func (c *badConn) Write(p []byte) (int, error) { return c.write(p) }
func (c *badConn) Close() error                { return nil }

// sendTo is a session that has logged in and whose client is w.
func sendTo(w io.Writer) *session {
	s := &session{drop: &drop{}}
	s.wire = newStream(&badConn{write: w.Write}, &s.cfg)
	return s
}

func (h *host) serveBad(commands string, write func(p []byte) (int, error)) error {
	return Serve(context.Background(), &badConn{commands: strings.NewReader(commands), write: write}, h.cfg)
}

const fetchAll = "USER alice\r\nPASS secret\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n"

// A message that could not be sent is not deleted, although QUIT has arrived.
func TestUnsentIsNotDeleted(t *testing.T) {
	h := newHost(t, []string{"mail new/1.a x"})
	greeted := false
	err := h.serveBad(fetchAll, func(p []byte) (int, error) {
		if greeted {
			return 0, errors.New("connection reset")
		}
		greeted = true
		return len(p), nil
	})
	if err != nil {
		t.Error(err)
	}
	if len(h.names()) != 1 {
		t.Error("a message that was never sent is deleted")
	}
}

// A flight of commands is answered in one write, and a large message is sent in pieces.
func TestWrites(t *testing.T) {
	h := newHost(t, []string{"mail new/1.a %1000000x%"})
	var sizes []int
	total := 0
	err := h.serveBad(fetchAll, func(p []byte) (int, error) {
		sizes = append(sizes, len(p))
		total += len(p)
		return len(p), nil
	})
	if err != nil || total < 1000000 {
		t.Errorf("%d octets, %v", total, err)
	}
	for _, n := range sizes {
		if n > flushAt+2*chunkSize {
			t.Errorf("a write of %d octets", n)
		}
	}
	sizes = nil
	err = h.serveBad("USER alice\r\nPASS secret\r\nLIST\r\nUIDL\r\nNOOP\r\n", func(p []byte) (int, error) {
		sizes = append(sizes, len(p))
		return len(p), nil
	})
	if err != nil || len(sizes) != 2 { // the greeting, the flight
		t.Errorf("writes of %d octets, %v", sizes, err)
	}
}

// A panic in a session unlocks the mailbox.
func TestPanicWithMailbox(t *testing.T) {
	h := newHost(t, []string{"mail new/1.a x"})
	err := h.serveBad("USER alice\r\nPASS secret\r\nNOOP\r\n", func(p []byte) (int, error) {
		if strings.Contains(string(p), "still here") {
			panic("oops")
		}
		return len(p), nil
	})
	if err == nil {
		t.Error("a panic is no error")
	}
	h.do("lock")
}

// A message that cannot be read to its end ends the session without the dot that
// would make it look complete.
func TestBrokenOff(t *testing.T) {
	var out strings.Builder
	s := sendTo(&out)
	broken := io.MultiReader(strings.NewReader("a\nb\n"), &badConn{commands: strings.NewReader("")})
	if err := s.send(broken, nil); err != nil {
		t.Fatal(err)
	}
	broken = io.MultiReader(strings.NewReader("c\n"), failing{})
	if err := s.send(broken, nil); err == nil {
		t.Error("a failed read is not noticed")
	}
	s.wire.Flush()
	if got, want := out.String(), "a\r\nb\r\n.\r\nc\r\n"; got != want {
		t.Errorf("sent %q, want %q", got, want)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("input/output error") }
