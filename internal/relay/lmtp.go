package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"paperpath/internal/maillog"
	"paperpath/internal/params"
	"paperpath/internal/smtpc"
	"paperpath/internal/spool"
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
		a.silent, a.why = a.silent && f.silent, f.err.Error()
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

// lmtpTransaction is one message to some recipients.
type lmtpTransaction struct {
	*lmtp
	m      *Message
	inside *Message // its text
	failed map[int]*failure
}

// run runs the transaction and returns the recipients that need another one.
func (t *lmtpTransaction) run(batch []int) (later []int) {
	batch = t.suited(batch)
	if len(batch) == 0 {
		return nil
	}
	from := path(t.m.From.Addr)
	if err := t.command("MAIL", func() error { return t.client.Mail(from, t.mail(batch)) }); err != nil {
		t.refused(batch, "MAIL FROM:<"+from+">", err)
		return nil
	}
	accepted, later := t.recipients(batch)
	if len(accepted) == 0 {
		return later
	}
	var w *smtp.DataCommand
	err := t.command("DATA", func() (err error) {
		w, err = t.client.Data()
		return err
	})
	if err != nil {
		t.refused(accepted, "DATA", err)
		return later
	}
	if f := t.text(w); f != nil {
		fail(t.failed, accepted, f)
		return later
	}
	t.answers(accepted, w)
	return later
}

// refused notes that a command for all of a list failed.
func (t *lmtpTransaction) refused(list []int, command string, err error) {
	f := t.lmtp.failed(command, err)
	f.elsewhere = f.elsewhere || t.over != nil
	fail(t.failed, list, f)
}

// recipients names the recipients, and returns those that the host accepted and those
// that were too many for it.
func (t *lmtpTransaction) recipients(batch []int) (accepted, later []int) {
	for n, i := range batch {
		to := path(t.m.To[i].Addr)
		err := t.command("RCPT", func() error { return t.client.Rcpt(to, t.rcpt(t.m.To[i])) })
		var reply *smtp.SMTPError
		switch {
		case err == nil:
			accepted = append(accepted, i)
		case errors.As(err, &reply) && len(accepted) > 0 && tooMany(wordsOf(reply)):
			return accepted, batch[n:]
		default:
			t.refused([]int{i}, "RCPT TO:<"+to+">", err)
		}
		if t.over != nil { // nobody has a text yet
			t.refused(append(accepted, batch[n+1:]...), "RCPT TO:<"+to+">", t.over)
			return nil, nil
		}
	}
	return accepted, later
}

// text sends the text. If that fails the connection is closed without the final dot, so
// that the host does not take a part of a message for all of it.
func (t *lmtpTransaction) text(w io.Writer) *failure {
	r, err := t.inside.as(t.inside.formFor(t.offers))
	if err != nil {
		t.over = err
		t.conn.Close()
		return formless(t.host, err)
	}
	in := &watched{r: r.open()}
	if _, err = io.Copy(w, in); err == nil {
		return nil
	}
	t.over = err
	t.conn.Close()
	if in.err != nil {
		return &failure{host: t.host, ours: true, err: status.Temp("4.3.0", "cannot read the message", in.err)}
	}
	f := t.lmtp.failed("message text", err)
	f.elsewhere = true
	return f
}

// watched remembers why reading failed.
type watched struct {
	r   io.Reader
	err error
}

// Read implements io.Reader.
func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		w.err = err
	}
	return n, err
}

// answers ends the text and reads an answer for each recipient: those who were answered
// with 2xx are done, whatever becomes of the others. A recipient without an answer may
// have the message; it is sent again later.
func (t *lmtpTransaction) answers(accepted []int, w *smtp.DataCommand) {
	t.conn.grant(lmtpReply + lmtpAnswer*len(accepted))
	good, err := w.CloseWithLMTPResponse()
	var bad smtp.LMTPDataError
	errors.As(err, &bad)
	t.over = lost(err)
	for _, i := range accepted {
		to := path(t.m.To[i].Addr)
		a, reply := good[to], bad[to]
		switch {
		case t.over != nil && a == nil && reply == nil, reply != nil && reply.Code/100 != 2 && !refuses(reply):
			if t.over == nil { // answers behind it may be those of others
				t.over, good, bad = impossible(reply), nil, nil
			}
			t.failed[i] = t.lmtp.failed("final dot", t.over)
		case a != nil:
			t.done(i, "250 "+a.StatusText)
		case reply.Code/100 == 2:
			t.done(i, wordsOf(reply).Text)
		default:
			t.failed[i] = t.lmtp.failed("final dot", reply)
		}
	}
}

// lost is why not all answers came; nil if they did. go-smtp joins that with the answers
// that did come, which are those of other recipients.
func lost(err error) error {
	if _, all := err.(smtp.LMTPDataError); all {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()[0]
	}
	return err
}

func (t *lmtpTransaction) done(i int, reply string) {
	reply = visible.ASCII(reply)
	if !t.offers("DSN") {
		t.m.noteNoDSN([]int{i}, t.answer(reply))
	}
	t.m.accepted([]int{i}, t.remote(), reply)
}

// suited fails what the host cannot take and returns the rest.
func (t *lmtpTransaction) suited(batch []int) (list []int) {
	refuse := func(i, code int, enhanced, why string) {
		t.failed[i] = &failure{host: t.host, elsewhere: true, err: &status.Error{Exit: status.Unavailable,
			Reply: code, Enhanced: enhanced, Text: fmt.Sprintf("%s: %s", t.host, why)}}
	}
	most, _ := t.client.MaxMessageSize()
	utf8 := t.offers("SMTPUTF8")
	far := t.host.addr.IsValid() && !t.host.addr.Addr().IsLoopback()
	for _, i := range batch {
		switch {
		case most > 0 && t.inside.shape.octets > int64(most):
			refuse(i, 552, "5.3.4", fmt.Sprintf("the message has %d octets, the host accepts at most %d", t.inside.shape.octets, most))
		case far && t.m.requireTLS():
			refuse(i, 550, "5.7.30", "REQUIRETLS: an LMTP route has no TLS")
		case !utf8 && (needsUTF8(t.m.From.Addr) || needsUTF8(t.m.To[i].Addr)):
			refuse(i, 553, "5.6.7", "the host does not offer SMTPUTF8, which an address requires")
		default:
			list = append(list, i)
		}
	}
	return list
}

// mail returns the parameters of MAIL; the client leaves out what the host does not offer.
func (t *lmtpTransaction) mail(batch []int) *smtp.MailOptions {
	o := &smtp.MailOptions{Size: t.inside.shape.octets}
	if t.offers("SMTPUTF8") {
		o.UTF8 = t.m.needsUTF8() || needsUTF8(t.m.From.Addr)
		for _, i := range batch {
			o.UTF8 = o.UTF8 || needsUTF8(t.m.To[i].Addr)
		}
	}
	if ret := params.Get(t.m.From.Params, "RET"); ret == "FULL" || ret == "HDRS" {
		o.Return = smtp.DSNReturn(ret)
	}
	if id := params.Get(t.m.From.Params, "ENVID"); isXtext(id) {
		o.EnvelopeID, _ = params.Decode(id)
	}
	return o
}

// rcpt returns the parameters of RCPT.
func (t *lmtpTransaction) rcpt(to spool.Recipient) *smtp.RcptOptions {
	o := &smtp.RcptOptions{}
	for _, word := range params.Notify(to.Params) {
		o.Notify = append(o.Notify, smtp.DSNNotify(word))
	}
	kind, text, _ := strings.Cut(params.Get(to.Params, "ORCPT"), ";")
	if strings.EqualFold(kind, "rfc822") && isXtext(text) {
		o.OriginalRecipientType = smtp.DSNAddressTypeRFC822
		o.OriginalRecipient, _ = params.Decode(text)
	}
	return o
}
