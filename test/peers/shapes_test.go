package peers

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"paperpath/test/harness"
)

const crowd = 120 // recipients of one message

// shapes are messages whose octets a mail server may be tempted to touch. The name of
// each is in its X-Shape field. Other servers may refuse lines above 998 octets
// (RFC 5321 4.5.3.1.6), which is why "long lines" is the longest that they all pass on
// with their limits lifted.
func shapes() map[string][]byte {
	bodies := map[string]string{
		"plain":         "\nhello\n",
		"8 bit":         "\nGrüße, \xff\xfe latin and not utf-8 at all \x80\n",
		"dots":          "\n.\n..\n...\n.x\n. \n\n.\n",
		"a dot first":   "\n.first line of the body\n",
		"998 octets":    "\n" + strings.Repeat("x", 998) + "\n" + strings.Repeat("é", 499) + "\n",
		"long lines":    "\n" + strings.Repeat("y", 5000) + "\n." + strings.Repeat("z", 5000) + "\n",
		"10 MB":         "\n" + strings.Repeat(".23456789 123456789 123456789 123456789 123456789 123456789 123456789 12345\n", 135_000),
		"empty body":    "\n",
		"no body":       "",
		"blank lines":   "\n\n\n\n",
		"odd fields":    "Subject: =?utf-8?q?a?=\n\tfolded  line \nX-Odd:no blank\nX-Empty:\n\nx\n",
		"crowd":         "\nto many\n",
		"From in body":  "\nFrom here on\n>From there\n",
		"control bytes": "\n\x01\x07\x1b[31m\x7f\v\f\b\n",
	}
	all := map[string][]byte{}
	for name, body := range bodies {
		all[name] = letter(name, body)
	}
	return all
}

// letter returns a message with a whole header, to which body's first lines
// may add.
func letter(shape, body string) []byte {
	return fmt.Appendf(nil, "From: Carol <%s>\nTo: %s\nDate: Mon, 23 Nov 2026 12:00:00 +0000\nMessage-ID: <%s@peers.example>\nX-Shape: %s\n%s",
		sender, alice, strings.ReplaceAll(shape, " ", "."), shape, body)
}

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

// shapeOf returns the X-Shape field of a message.
func shapeOf(message []byte) string {
	_, rest, _ := bytes.Cut(message, []byte("\nX-Shape: "))
	shape, _, _ := bytes.Cut(rest, []byte("\n"))
	return string(shape)
}

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
