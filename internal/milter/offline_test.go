package milter

import (
	"bytes"
	"net"
	"testing"
	"time"

	"github.com/emersion/go-milter"
)

// deaf is a connection that reads from a buffer and forgets what is written.
type deaf struct {
	net.Conn
	in *bytes.Reader
}

func (d deaf) Read(p []byte) (int, error)       { return d.in.Read(p) }
func (d deaf) Write(p []byte) (int, error)      { return len(p), nil }
func (d deaf) Close() error                     { return nil }
func (d deaf) SetReadDeadline(time.Time) error  { return nil }
func (d deaf) SetWriteDeadline(time.Time) error { return nil }

// offline shows a message to a milter that answers nothing before its end, and then so.
func offline(t testing.TB, text Text, answer []byte) (*Changes, Answer, error) {
	negotiated := packet('O', string(words(6, uint32(actions), uint32(protocol&^milter.OptHeaderLeadingSpace&^milter.OptSkip))))
	conn := deaf{in: bytes.NewReader(append(negotiated, answer...))}
	f := Filter{Name: "offline", Read: time.Minute, End: time.Minute, Send: time.Minute, MaxBody: 1 << 20,
		Scratch: func() Scratch { return &memory{} }}
	s, err := agree(t.Context(), f, conn, actions, protocol)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Sender(t.Context(), sender); err != nil {
		t.Fatal(err)
	}
	return s.Message(t.Context(), text)
}
