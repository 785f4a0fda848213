package relay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/emersion/go-smtp"

	"paperpath/internal/maillog"
	"paperpath/internal/smtpc"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// Limits of what an LMTP host may reply, in octets.
const (
	lmtpReply  = 64 << 10 // to a command
	lmtpAnswer = 4 << 10  // for each recipient, to the end of a text
)

// lmtp is a session with an LMTP host (RFC 2033): after a text it answers for each
// recipient. go-smtp speaks the protocol.
type lmtp struct {
	*Relay
	host   host
	client *smtp.Client
	conn   *guard
	stop   func() bool
	over   error // why the session can do nothing more
}

// tryLMTP sends to the recipients that are left by LMTP.
func (a *attempt) tryLMTP(ctx context.Context, h host, network, address string) {
	if a.finished(ctx) {
		return
	}
	a.tried++
	s, f := a.openLMTP(ctx, h, network, address)
	if f != nil {
		a.silent, a.why = a.silent && f.silent, status.Public(f.err)
		a.judge(f)
		a.failAll(f)
		return
	}
	defer s.close()
	a.silent = false
	a.sessions++
	a.reach.reached(a.name)
	inside, err := a.m.inside()
	if err != nil {
		a.failAll(&failure{host: h, ours: true, err: status.Temp("4.3.0", "cannot read the message", err)})
		return
	}
	failed := s.deliver(ctx, a.m, inside, a.left)
	a.noteAll(failed)
}

// inside returns the text of m as hosts and programs of our own get it: with our result
// fields, and without a signature, since it does not leave for the world.
func (m *Message) inside() (*Message, error) {
	n := &Message{Content: m.Content}
	if m.Results != nil {
		n.Content = m.Results
	}
	return n, n.measure()
}

// openLMTP connects and says LHLO.
func (r *Relay) openLMTP(ctx context.Context, h host, network, address string) (*lmtp, *failure) {
	helo, err := r.Control.Hostname()
	if err != nil {
		return nil, &failure{host: h, ours: true, err: classified(err)}
	}
	dialing, cancel := context.WithTimeout(ctx, r.Times.Connect)
	defer cancel()
	c, err := r.Dial(dialing, network, address)
	if err != nil {
		return nil, &failure{host: h, elsewhere: true, silent: true,
			err: status.Temp("4.4.1", fmt.Sprintf("%s: connect: %v", h, smtpc.Plain(err)), nil)}
	}
	s := &lmtp{Relay: r, host: h}
	s.conn, s.stop = newGuard(ctx, c, time.Now().Add(r.Times.Session), r.Times.Block, r.Times.Grace)
	s.client = smtp.NewClientLMTP(s.conn)
	s.client.CommandTimeout, s.client.SubmissionTimeout = r.Times.Mail, r.Times.Answer
	s.conn.grant(lmtpReply)
	if err := s.client.Hello(helo); err != nil {
		s.close()
		f := s.failed("LHLO "+helo, err)
		f.elsewhere = true
		if !status.IsTemporary(f.err) { // nothing was asked yet
			f.err = status.Temp("4.3.2", f.err.Text, nil)
		}
		return nil, f
	}
	return s, nil
}

// close ends the session, with QUIT if the host still listens.
func (s *lmtp) close() {
	if s.over == nil {
		s.conn.grant(lmtpReply)
		s.client.CommandTimeout = s.Times.Quit
		_ = s.client.Quit() // the work is done or has failed already
	}
	s.stop()
	s.conn.Close()
}

// deliver sends m, with the text inside, to the recipients todo and returns the failures
// by recipient. The others are done.
func (s *lmtp) deliver(ctx context.Context, m, inside *Message, todo []int) map[int]*failure {
	failed := map[int]*failure{}
	for first := true; len(todo) > 0; first = false {
		if !first && s.over == nil {
			if ctx.Err() != nil {
				s.over = errors.New("stopped between two transactions")
			} else if err := s.command("RSET", s.client.Reset); err != nil && s.over == nil {
				s.over = err
			}
		}
		if s.over != nil {
			fail(failed, todo, &failure{host: s.host, elsewhere: true,
				err: status.Temp("4.4.2", fmt.Sprintf("%s: %v", s.host, smtpc.Plain(s.over)), nil)})
			break
		}
		t := &lmtpTransaction{lmtp: s, m: m, inside: inside, failed: failed}
		batch, rest := distinct(m, todo)
		todo = append(t.run(batch), rest...)
	}
	return failed
}

// distinct returns the first recipients, no address twice since answers are told apart
// by it, and those that must wait for another transaction.
func distinct(m *Message, todo []int) (batch, rest []int) {
	seen := map[string]bool{}
	for _, i := range todo {
		p := path(m.To[i].Addr)
		if seen[p] || len(batch) >= maxRecipients {
			rest = append(rest, i)
			continue
		}
		seen[p] = true
		batch = append(batch, i)
	}
	return batch, rest
}

// command runs a step of the session. An error that is not a reply, and a reply that
// ends the session or that no command can have, are noted as its end.
func (s *lmtp) command(name string, do func() error) error {
	s.conn.grant(lmtpReply)
	err := do()
	var reply *smtp.SMTPError
	switch {
	case err == nil:
	case !errors.As(err, &reply):
		s.over = err
	case reply.Code == 421:
		s.over = fmt.Errorf("%s: %s", name, wordsOf(reply).Text)
	case !refuses(reply):
		s.over = impossible(reply)
	}
	return err
}

// refuses reports whether a reply that is not the expected one says no; any other is one
// that no command can have.
func refuses(e *smtp.SMTPError) bool { return e.Code >= 400 && e.Code < 600 }

func impossible(e *smtp.SMTPError) error {
	return fmt.Errorf("an answer that this command cannot have: \"%s\"", visible.Shorten(wordsOf(e).Text, 80))
}

// failed is the failure that the error of a command means.
func (s *lmtp) failed(command string, err error) *failure {
	var reply *smtp.SMTPError
	if isReply := errors.As(err, &reply); !isReply || !refuses(reply) {
		if isReply {
			err = impossible(reply)
		}
		return (&session{terms: terms{host: s.host}}).failed(&smtpc.Error{Command: command, Err: smtpc.Plain(err)})
	}
	f := (&session{terms: terms{host: s.host}}).failed(&smtpc.Error{Command: command, Reply: wordsOf(reply)})
	f.elsewhere = status.IsTemporary(f.err)
	return f
}

// wordsOf is a reply as the host sent it.
func wordsOf(e *smtp.SMTPError) smtpc.Reply {
	text := fmt.Sprint(e.Code)
	if c := e.EnhancedCode; c[0] > 0 {
		text += fmt.Sprintf(" %d.%d.%d", c[0], c[1], c[2])
	}
	return smtpc.Reply{Code: e.Code, Text: visible.ASCII(text + " " + e.Message)}
}

// offers reports whether the host has an extension.
func (s *lmtp) offers(name string) bool {
	ok, _ := s.client.Extension(name)
	return ok
}

// answer is a reply as a report names it. A socket has no name for others.
func (s *lmtp) answer(reply string) answer {
	if !s.host.addr.IsValid() {
		return answer{reply: reply}
	}
	return answer{s.host.name, reply}
}

// remote is the host as the log shows it.
func (s *lmtp) remote() maillog.Remote {
	r := maillog.Remote{Host: s.host.name}
	if s.host.addr.IsValid() {
		r.Addr = s.host.addr.Addr().String()
	}
	return r
}
