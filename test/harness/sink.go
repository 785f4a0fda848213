package harness

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
)

// Received is one message that a sink took responsibility for.
type Received struct {
	From string
	To   []string
	Data []byte // LF line ends, dots unstuffed
}

// Sink is a recording SMTP server, strict about octets, that can be told to
// misbehave.
type Sink struct {
	Addr string
	l    net.Listener

	mu       sync.Mutex
	mode     string
	received []Received
	wrong    []string
}

// NewSink returns a sink on a free port of 127.0.0.1. The mode is one of
//
//	ok         takes everything
//	greet4xx   421 for a greeting     greet5xx  554 for a greeting
//	rcpt4xx    450 to each RCPT       rcpt5xx   550 to each RCPT
//	rcpt:TEXT  TEXT to each RCPT
//	smtp5xx    550 to each RCPT       lmtp4xx   451 for the last of several recipients
//	           but not by LMTP                  after the dot, by LMTP
//	auth       530 to MAIL without AUTH PLAIN as alice
//	data4xx    451 after the dot      data5xx   554 after the dot
//	garbage    bytes that are no SMTP
//	silent     says nothing at all
//	middata    closes in the middle of DATA
//	nodot      takes the message, then closes without an answer
//
// It speaks LMTP to a client that says LHLO.
func NewSink(mode string) (*Sink, error) { return NewSinkAt("127.0.0.1:0", mode) }

// NewSinkAt returns a sink at addr.
func NewSinkAt(addr, mode string) (*Sink, error) {
	if err := knownMode(mode); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	s := &Sink{Addr: l.Addr().String(), l: l, mode: mode}
	go s.serve()
	return s, nil
}

// knownMode returns an error for an unknown mode, in which a sink would accept
// everything.
func knownMode(mode string) error {
	switch mode {
	case "ok", "greet4xx", "greet5xx", "rcpt4xx", "rcpt5xx", "data4xx", "data5xx",
		"smtp5xx", "lmtp4xx", "auth", "garbage", "silent", "middata", "nodot":
		return nil
	}
	if strings.HasPrefix(mode, "rcpt:") {
		return nil
	}
	return fmt.Errorf("a sink has no mode %q", mode)
}

// SetMode changes the mode from now on.
func (s *Sink) SetMode(mode string) error {
	if err := knownMode(mode); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mode = mode
	return nil
}

func (s *Sink) is(mode string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mode == mode
}

// says returns what follows the prefix of the mode, "" in another mode.
func (s *Sink) says(prefix string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, ok := strings.CutPrefix(s.mode, prefix)
	if !ok {
		return ""
	}
	return text
}

// Close stops listening.
func (s *Sink) Close() error { return s.l.Close() }

// Received returns what arrived so far.
func (s *Sink) Received() []Received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Received(nil), s.received...)
}

// Wrong returns how clients broke RFC 5321: bare CR or LF, lines too long, commands out
// of order.
func (s *Sink) Wrong() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.wrong...)
}

func (s *Sink) complain(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrong = append(s.wrong, fmt.Sprintf(format, args...))
}

func (s *Sink) serve() {
	for {
		c, err := s.l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			s.session(Converse(c))
		}()
	}
}

// session speaks one session until the client or the mode ends it.
func (s *Sink) session(c *Conversation) {
	switch {
	case s.is("silent"):
		io.Copy(io.Discard, c.Conn)
		return
	case s.is("garbage"):
		c.Write([]byte("\x00\xff\x1b[2Jhello\r\n\r\r\n299999999999 what\n250"))
		io.Copy(io.Discard, c.Conn)
		return
	case s.is("greet4xx"):
		c.Send("421 4.3.2 not now")
		return
	case s.is("greet5xx"):
		c.Send("554 5.3.2 never")
		return
	}
	c.Send("220 sink.example ESMTP")
	var m Received
	for {
		line, err := c.r.ReadString('\n')
		if err != nil || !s.command(c, &m, line) {
			return
		}
	}
}

// command answers one command; false ends the session.
func (s *Sink) command(c *Conversation, m *Received, line string) bool {
	line, crlf := strings.CutSuffix(line, "\r\n")
	if !crlf || strings.ContainsAny(line, "\r\n\x00") {
		s.complain("command with a bare CR, LF or NUL: %q", line)
	}
	verb, arg, _ := strings.Cut(line, " ")
	switch strings.ToUpper(verb) {
	case "EHLO", "LHLO":
		c.lmtp = strings.EqualFold(verb, "LHLO")
		auth := ""
		if s.is("auth") {
			auth = "250-AUTH PLAIN\r\n"
		}
		c.Send("250-sink.example\r\n%s250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 SIZE 104857600", auth)
	case "AUTH":
		s.auth(c, arg)
	case "HELO", "NOOP":
		c.Send("250 2.0.0 ok")
	case "RSET":
		*m = Received{}
		c.Send("250 2.0.0 ok")
	case "MAIL":
		if s.is("auth") && !c.authed {
			c.Send("530 5.7.0 authentication required")
			return true
		}
		*m = Received{From: path(arg)}
		c.Send("250 2.1.0 ok")
	case "RCPT":
		s.rcpt(c, m, path(arg))
	case "DATA":
		return s.data(c, m)
	case "QUIT":
		c.Send("221 2.0.0 bye")
		return false
	default:
		c.Send("502 5.5.1 no such command")
	}
	return true
}

// auth answers AUTH PLAIN (RFC 4616) with an initial response.
func (s *Sink) auth(c *Conversation, arg string) {
	if arg != "PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00alice\x00"+Password)) {
		c.Send("535 5.7.8 not so")
		return
	}
	c.authed = true
	c.Send("235 2.7.0 welcome")
}

func (s *Sink) rcpt(c *Conversation, m *Received, to string) {
	switch {
	case s.is("rcpt4xx"):
		c.Send("450 4.2.1 mailbox busy")
	case s.is("rcpt5xx"), s.is("smtp5xx") && !c.lmtp:
		c.Send("550 5.1.1 no such user here")
	case s.says("rcpt:") != "":
		c.Send(s.says("rcpt:"))
	default:
		m.To = append(m.To, to)
		c.Send("250 2.1.5 ok")
	}
}

// path returns the address in FROM:<...> or TO:<...>.
func path(arg string) string {
	_, rest, _ := strings.Cut(arg, "<")
	addr, _, _ := strings.Cut(rest, ">")
	return addr
}

// data reads one message up to CRLF.CRLF and records it before it answers, so
// that what was acknowledged is what is on record.
func (s *Sink) data(c *Conversation, m *Received) bool {
	if len(m.To) == 0 {
		c.Send("554 5.5.1 no valid recipients")
		return true
	}
	c.Send("354 go on")
	if s.is("middata") {
		c.r.ReadString('\n')
		return false
	}
	data, err := s.readData(c)
	if err != nil || s.is("nodot") {
		return false
	}
	switch {
	case s.is("data4xx"):
		c.Send("451 4.3.0 try again")
	case s.is("data5xx"):
		c.Send("554 5.6.0 do not like it")
	default:
		m.Data = data
		taken := *m
		if c.lmtp && s.is("lmtp4xx") && len(m.To) > 1 {
			taken.To = m.To[:len(m.To)-1]
		}
		s.mu.Lock()
		s.received = append(s.received, taken)
		s.mu.Unlock()
		for i := range m.To {
			switch last := i == len(m.To)-1; {
			case c.lmtp && last && i > 0 && s.is("lmtp4xx"):
				c.Send("451 4.3.0 not for this one")
			case c.lmtp || last: // LMTP answers for each recipient
				c.Send("250 2.0.0 taken")
			}
		}
	}
	*m = Received{}
	return true
}

func (s *Sink) readData(c *Conversation) ([]byte, error) {
	var b bytes.Buffer
	for {
		line, err := c.r.ReadBytes('\n')
		if err != nil {
			return nil, err
		}
		body, crlf := bytes.CutSuffix(line, []byte("\r\n"))
		if !crlf || bytes.ContainsAny(body, "\r\x00") {
			s.complain("text line with a bare CR, LF or NUL: %.80q", line)
		}
		if string(body) == "." {
			return b.Bytes(), nil
		}
		b.Write(bytes.TrimPrefix(body, []byte(".")))
		b.WriteByte('\n')
	}
}
