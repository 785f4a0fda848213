package peers

import (
	"fmt"
	"strings"
	"testing"

	"paperpath/test/harness"
)

const crowd = 120 // recipients of one message

// shapes are messages whose octets a mail server may be tempted to touch.
func shapes() map[string][]byte { return harness.Shapes() }

func letter(shape, body string) []byte { return harness.Letter(shape, body) }

// recipients returns to whom a shape is sent.
func recipients(shape, one string) []string {
	if shape != "crowd" {
		return []string{one}
	}
	_, domain, _ := strings.Cut(one, "@")
	var all []string
	for i := range crowd {
		all = append(all, fmt.Sprintf("r%03d@%s", i, domain))
	}
	return all
}

func shapeOf(message []byte) string { return harness.ShapeOf(message) }

// inject sends a message to another server, as 8 bit if it accepts that.
func inject(t *testing.T, addr string, to []string, message []byte) {
	t.Helper()
	c := hello(t, addr)
	defer c.Close()
	c.expect("250", "MAIL FROM:<"+sender+">"+c.offered("8BITMIME", " BODY=8BITMIME"))
	for _, rcpt := range to {
		c.expect("250", "RCPT TO:<"+rcpt+">")
	}
	c.content(message)
}

// session is an SMTP session whose failures fail the test.
type session struct {
	*harness.Conversation
	t          *testing.T
	extensions string
}

// hello opens a session and says EHLO.
func hello(t *testing.T, addr string) *session {
	t.Helper()
	c, err := harness.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	s := &session{Conversation: c, t: t}
	s.expect("220", "")
	s.extensions = s.expect("250", "EHLO client.example.org")
	return s
}

func (s *session) expect(want, command string) string {
	s.t.Helper()
	reply, err := s.Expect(want, command)
	if err != nil {
		s.t.Fatal(err)
	}
	return reply
}

// offers says whether the reply to EHLO has an extension.
func (s *session) offers(extension string) bool {
	for line := range strings.Lines(s.extensions) {
		if word, _, _ := strings.Cut(strings.TrimSpace(line[4:]), " "); strings.EqualFold(word, extension) {
			return true
		}
	}
	return false
}

// offered returns then if the extension is offered, else nothing.
func (s *session) offered(extension, then string) string {
	if s.offers(extension) {
		return then
	}
	return ""
}

// content sends DATA and the message, and ends the session.
func (s *session) content(message []byte) {
	s.t.Helper()
	s.expect("354", "DATA")
	if _, err := s.Write(harness.Wire(message)); err != nil {
		s.t.Fatal(err)
	}
	s.expect("250", "")
	s.expect("221", "QUIT")
}
