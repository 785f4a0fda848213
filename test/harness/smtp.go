package harness

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"strings"
	"time"
)

// Conversation is one side of a line protocol, by hand: it sends what the caller says,
// octet by octet.
type Conversation struct {
	net.Conn
	r      *bufio.Reader
	lmtp   bool // the client said LHLO (RFC 2033)
	authed bool // it has logged in
}

// Dial opens a conversation with a server; everything in it must be over
// within two minutes.
func Dial(addr string) (*Conversation, error) {
	c, err := net.DialTimeout("tcp", addr, time.Minute)
	if err != nil {
		return nil, err
	}
	return Converse(c), nil
}

// Converse makes a conversation of a connection.
func Converse(c net.Conn) *Conversation {
	c.SetDeadline(time.Now().Add(2 * time.Minute))
	return &Conversation{Conn: c, r: bufio.NewReader(c)}
}

// Line reads one line without its CRLF.
func (c *Conversation) Line() (string, error) {
	s, err := c.r.ReadString('\n')
	return strings.TrimRight(s, "\r\n"), err
}

// Reply reads one SMTP reply; the lines of a longer one are joined by \n.
func (c *Conversation) Reply() (string, error) {
	var all []string
	for {
		s, err := c.Line()
		if err != nil {
			return strings.Join(all, "\n"), err
		}
		all = append(all, s)
		if len(s) < 4 || s[3] != '-' {
			return strings.Join(all, "\n"), nil
		}
	}
}

// Send writes one command line.
func (c *Conversation) Send(format string, args ...any) error {
	_, err := fmt.Fprintf(c.Conn, format+"\r\n", args...)
	return err
}

// Expect sends a command ("" for none) and returns the reply, with an error if it does
// not begin with want.
func (c *Conversation) Expect(want, command string) (string, error) {
	if command != "" {
		if err := c.Send("%s", command); err != nil {
			return "", err
		}
	}
	reply, err := c.Reply()
	if err == nil && !strings.HasPrefix(reply, want) {
		err = fmt.Errorf("%.60q answered %q, not %s", command, reply, want)
	}
	return reply, err
}

// Transfer sends one message (LF line ends, the last line ended) in the open
// conversation and returns the reply to its last dot.
func (c *Conversation) Transfer(from string, to []string, message []byte) (string, error) {
	if _, err := c.Expect("250", "MAIL FROM:<"+from+">"); err != nil {
		return "", err
	}
	for _, rcpt := range to {
		if _, err := c.Expect("250", "RCPT TO:<"+rcpt+">"); err != nil {
			return "", err
		}
	}
	if _, err := c.Expect("354", "DATA"); err != nil {
		return "", err
	}
	if _, err := c.Write(Wire(message)); err != nil {
		return "", err
	}
	return c.Expect("250", "")
}

// Wire returns a message as it travels in DATA: CRLF, dots stuffed, and the
// last dot (RFC 5321 4.5.2).
func Wire(message []byte) []byte {
	var b bytes.Buffer
	for line := range bytes.Lines(message) {
		if line[0] == '.' {
			b.WriteByte('.')
		}
		b.Write(bytes.TrimSuffix(line, []byte("\n")))
		b.WriteString("\r\n")
	}
	b.WriteString(".\r\n")
	return b.Bytes()
}

// SendMail sends one message to the SMTP server at addr and returns the reply
// that acknowledged it.
func SendMail(addr, from string, to []string, message []byte) (string, error) {
	c, err := Dial(addr)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if _, err := c.Expect("220", ""); err != nil {
		return "", err
	}
	if _, err := c.Expect("250", "EHLO client.example.org"); err != nil {
		return "", err
	}
	reply, err := c.Transfer(from, to, message)
	if err == nil {
		c.Send("QUIT")
	}
	return reply, err
}
