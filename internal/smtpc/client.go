// Package smtpc is the client's side of SMTP (RFC 5321): one session with one
// host, pipelined (RFC 2920) and chunked (RFC 3030) where the host offers it.
//
// A caller must know for which recipients a host has accepted a message. Three rules
// keep that right whatever a host answers. A reply is matched to its command, and one
// that the command cannot have ends the session. Nothing counts as done without a final
// reply. Only the answer to the end of a text says that a message was accepted.
package smtpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"paperpath/internal/visible"
)

// Client is a session. It is for one goroutine; only the context that it was opened
// with may end at any time.
type Client struct {
	conn    *conn
	hello   string
	offered map[string]string // what the host offers, keywords in capitals
	refused error             // why the host refuses any transaction from now on
	halt    func() bool
	state   tls.ConnectionState
	said    said
	piece   []byte // where texts are read to
	dirty   bool   // a transaction may be open at the host: the next one begins with RSET
}

// Error says which command failed and why.
type Error struct {
	Command string // as it was sent; "greeting" before the first
	Reply   Reply  // zero if none came, or one that the command cannot have
	Err     error  // why there is no reply
}

// Error implements error.
func (e *Error) Error() string {
	if e.Reply.Code != 0 {
		return e.Command + ": " + e.Reply.Text
	}
	return fmt.Sprintf("%s: %v", e.Command, e.Err)
}

// Unwrap returns why there is no reply.
func (e *Error) Unwrap() error { return e.Err }

// Open begins a session on a connection to a host: it reads the greeting and says EHLO,
// or HELO to a host that does not know EHLO (RFC 5321 3.2). hello is the name of this
// host. No wait goes beyond end, except that for the answer to a text. When ctx ends, a
// transaction has Times.Grace to finish. The error is an *Error.
func Open(ctx context.Context, c net.Conn, hello string, t Times, end time.Time) (*Client, error) {
	s := &Client{conn: newConn(c, t, end), hello: hello}
	s.halt = context.AfterFunc(ctx, s.conn.stop)
	r, err := s.conn.reply(t.Greeting, false, nil)
	if err != nil || r.Class() != 2 {
		if r.Code == 421 {
			s.refused = errors.New(r.Text)
		}
		s.Quit()
		return nil, &Error{Command: "greeting", Reply: r, Err: err}
	}
	s.said.greeting = r
	if greeted, ok := ctx.Value(greeting{}).(func()); ok {
		greeted()
	}
	if err := s.greet(); err != nil {
		s.Quit()
		return nil, err
	}
	return s, nil
}

// greeting is the key of what a context has to be called at a greeting.
type greeting struct{}

// OnGreeting returns a context with which Open calls greeted as soon as the host has
// greeted, before EHLO is said.
func OnGreeting(ctx context.Context, greeted func()) context.Context {
	return context.WithValue(ctx, greeting{}, greeted)
}

// greet says EHLO, or HELO if the host does not know EHLO.
func (s *Client) greet() error {
	s.offered = map[string]string{}
	first := true
	s.said.hello = nil
	hear := func(line string) { s.said.hello = append(s.said.hello, line) }
	r, err := s.ask(s.conn.times.Hello, func(line string) {
		hear(line)
		if !first && len(line) > 4 {
			word, args, _ := strings.Cut(line[4:], " ")
			s.offer(strings.ToUpper(word), args) // RFC 5321 2.4
		}
		first = false
	}, "EHLO", s.hello)
	var e *Error
	if errors.As(err, &e) && e.Reply.Code/10 == 50 { // it does not know the command (RFC 5321 3.2)
		clear(s.offered)
		s.said.hello = nil
		r, err = s.ask(s.conn.times.Hello, hear, "HELO", s.hello)
	}
	if err == nil && (r.Class() != 2 || r.Code == 221) {
		return s.impossible("EHLO "+s.hello, r)
	}
	return err
}

// offer notes a keyword. Mechanisms of AUTH may come in several lines, and old hosts
// write `AUTH=` (RFC 4954 3 has neither).
func (s *Client) offer(keyword, args string) {
	if first, old := strings.CutPrefix(keyword, "AUTH="); old {
		keyword, args = "AUTH", first+" "+args
	}
	if keyword == "AUTH" {
		args = strings.TrimSpace(s.offered[keyword] + " " + args)
	}
	s.offered[keyword] = args
}

// ask sends a single command and returns the reply, which is a 2xx or 3xx if there is
// no error.
func (s *Client) ask(limit time.Duration, each func(string), words ...string) (Reply, error) {
	name := strings.Join(words, " ")
	if err := s.conn.silent(); err != nil {
		return Reply{}, &Error{Command: name, Err: err}
	}
	s.conn.command(words...)
	if err := s.conn.flush(); err != nil {
		return Reply{}, &Error{Command: name, Err: err}
	}
	r, err := s.conn.reply(limit, false, each)
	if r.Code == 421 {
		s.refused = errors.New(r.Text)
	}
	if err != nil || r.Class() >= 4 {
		return r, &Error{Command: name, Reply: r, Err: err}
	}
	return r, nil
}

// Reset says RSET, and so finds out whether the host still listens.
func (s *Client) Reset() error {
	r, err := s.ask(s.conn.times.Mail, nil, "RSET")
	if err == nil && r.Class() != 2 {
		err = s.impossible("RSET", r)
	}
	return err
}

// Offers returns what follows a keyword in the host's answer to EHLO.
func (s *Client) Offers(keyword string) (args string, ok bool) {
	args, ok = s.offered[keyword]
	return args, ok
}

// MaxSize is how many octets a message may have (RFC 1870); 0: the host does
// not say.
func (s *Client) MaxSize() int64 {
	n, err := strconv.ParseInt(s.offered["SIZE"], 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// TLS is the state of the connection; zero in the clear.
func (s *Client) TLS() tls.ConnectionState { return s.state }

// StartTLS switches to TLS and says EHLO again (RFC 3207 4.2). Anything that the host
// has sent in the clear after its reply ends the session, since it must not be read as
// if it came inside TLS. The error is an *Error; with a Reply the session goes on in
// the clear, without one it is over.
func (s *Client) StartTLS(cfg *tls.Config) error {
	r, err := s.ask(s.conn.times.Hello, nil, "STARTTLS")
	if err != nil {
		return err
	}
	if r.Class() != 2 {
		return s.impossible("STARTTLS", r)
	}
	if err := s.conn.silent(); err != nil {
		return &Error{Command: "STARTTLS", Err: err}
	}
	if err := s.Secure(cfg); err != nil {
		return err
	}
	return s.greet()
}

// impossible ends the session for a reply that the command cannot have.
func (s *Client) impossible(command string, r Reply) *Error {
	err := fmt.Errorf("%w: \"%s\"", ErrImpossible, visible.Shorten(r.Text, 80))
	s.conn.cut(err)
	return &Error{Command: command, Err: err}
}

// Over reports whether the session can do nothing more.
func (s *Client) Over() bool { return s.conn.broken != nil || s.refused != nil }

// Quit says QUIT if the host still listens (RFC 5321 4.1.1.10), and closes the
// connection. It is never sent in a flight with a message. It returns what the host said:
// the work is done, or has failed already.
func (s *Client) Quit() (bye Reply) {
	if !s.Over() && s.conn.silent() == nil {
		s.conn.command("QUIT")
		if s.conn.flush() == nil {
			bye, _ = s.conn.reply(s.conn.times.Quit, false, nil)
		}
	}
	s.Close()
	return bye
}

// Close ends the session without QUIT.
func (s *Client) Close() {
	s.halt()
	s.conn.cut(net.ErrClosed)
}
