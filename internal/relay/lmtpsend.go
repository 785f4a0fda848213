package relay

import (
	"errors"
	"fmt"
	"io"

	"github.com/emersion/go-smtp"

	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// lmtpTransaction is one message to some recipients.
type lmtpTransaction struct {
	*lmtp
	m      *Message
	inside *Message   // its text
	form   *rendering // in the form that the host takes
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
		err := t.command("RCPT", func() error { return t.client.Rcpt(to, rcptOptions(t.m.To[i].Params)) })
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
	in := &watched{r: t.form.open()}
	_, err := io.Copy(w, in)
	if err == nil {
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
	var err error
	if t.form, err = t.inside.as(t.inside.formFor(t.offers)); err != nil {
		fail(t.failed, batch, formless(t.host, err))
		return nil
	}
	most, _ := t.client.MaxMessageSize()
	utf8 := t.offers("SMTPUTF8")
	far := t.host.addr.IsValid() && !t.host.addr.Addr().IsLoopback()
	for _, i := range batch {
		switch {
		case most > 0 && t.form.octets > int64(most):
			refuse(i, 552, "5.3.4", fmt.Sprintf("the message has %d octets, the host accepts at most %d", t.form.octets, most))
		case far && t.m.requireTLS():
			refuse(i, 550, "5.7.30", "REQUIRETLS: an LMTP route has no TLS")
		case !utf8 && (t.m.needsUTF8() || needsUTF8(t.m.From.Addr) || needsUTF8(t.m.To[i].Addr)):
			refuse(i, 553, "5.6.7", "the host does not offer SMTPUTF8, which an address or the header requires")
		default:
			list = append(list, i)
		}
	}
	return list
}

// mail returns the parameters of MAIL; the client leaves out what the host does not offer.
func (t *lmtpTransaction) mail(batch []int) *smtp.MailOptions {
	o := mailOptions(t.m.From.Params)
	o.Size = t.form.octets
	if t.offers("SMTPUTF8") {
		o.UTF8 = t.m.needsUTF8() || needsUTF8(t.m.From.Addr)
		for _, i := range batch {
			o.UTF8 = o.UTF8 || needsUTF8(t.m.To[i].Addr)
		}
	}
	return o
}
