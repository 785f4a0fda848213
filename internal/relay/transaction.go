package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/emersion/go-smtp"

	"paperpath/internal/addr"
	"paperpath/internal/dns"
	"paperpath/internal/params"
	"paperpath/internal/status"
)

// maxRecipients is how many every host must take in one transaction
// (RFC 5321 4.5.3.1.8).
const maxRecipients = 100

// deliver sends m to the recipients todo, in as many transactions as the host
// wants, and returns why it failed for which. Who is missing there is done.
func (s *session) deliver(ctx context.Context, m *Message, todo []int) map[int]*failure {
	t := &transaction{session: s, m: m, failed: map[int]*failure{}}
	for first := true; len(todo) > 0; first = false {
		if !first {
			t.between(ctx)
		}
		if t.over != nil {
			fail(t.failed, todo, t.over)
			break
		}
		batch := todo[:min(len(todo), maxRecipients)]
		todo = slices.Concat(t.run(batch), todo[len(batch):])
	}
	return t.failed
}

func fail(failed map[int]*failure, list []int, f *failure) {
	for _, i := range list {
		failed[i] = f
	}
}

// transaction is one message to some recipients.
type transaction struct {
	*session
	m      *Message
	failed map[int]*failure
	over   *failure // the session can do nothing more
}

// between makes the session ready for another transaction.
func (t *transaction) between(ctx context.Context) {
	switch {
	case t.over != nil:
	case ctx.Err() != nil:
		t.over = &failure{host: t.host, ours: true,
			err: status.Temp("4.3.2", fmt.Sprintf("%s: stopped between two transactions", t.host), nil)}
	case t.wire.reply.code == 421:
		t.over = t.trouble(nil)
	default:
		if err := t.wire.do("RSET"); err != nil || !t.ok() {
			t.over = t.trouble(err)
		}
	}
}

// run returns the recipients that want a transaction of their own.
func (t *transaction) run(batch []int) (later []int) {
	batch = t.suited(batch)
	if len(batch) == 0 {
		return nil
	}
	if !t.mail(batch) {
		return batch
	}
	accepted, later := t.rcpts(batch)
	if t.over != nil {
		return slices.Concat(accepted, later)
	}
	if len(accepted) == 0 {
		return later
	}
	if f := t.data(); f != nil {
		fail(t.failed, accepted, f)
		if t.wire.broken != nil || !t.wire.replied {
			t.over = f.again()
		}
		return later
	}
	if !t.offers("DSN") {
		t.m.noteNoDSN(accepted, answer{t.host.name, t.wire.reply.text})
	}
	t.m.Done(accepted, t.host.name, t.host.addr.Addr().String(), t.tls, t.wire.reply.text)
	return later
}

// again is the failure of those for whom the text was never begun.
func (f *failure) again() *failure {
	g := *f
	g.elsewhere = !f.ours
	return &g
}

// trouble is the failure of the last command. Where the host refused it for
// now, or was lost, another may do better.
func (t *transaction) trouble(err error) *failure {
	f := t.session.failed(err)
	f.elsewhere = status.IsTemporary(f.err)
	return f
}

// suited sorts out what the host cannot take anyway: a message larger than it
// said (RFC 1870 6.1), a message for verified TLS alone (RFC 8689), an address
// that needs SMTPUTF8 (RFC 6531 3.2).
func (t *transaction) suited(batch []int) (list []int) {
	if most, ok := t.smtp.MaxMessageSize(); ok && most > 0 && t.m.shape.octets > int64(most) {
		fail(t.failed, batch, t.unsuited(552, "5.3.4",
			fmt.Sprintf("the message has %d octets, the host takes %d", t.m.shape.octets, most)))
		return nil
	}
	if t.m.requireTLS() {
		if why := t.bound(); why != "" {
			fail(t.failed, batch, t.unsuited(550, "5.7.30", "REQUIRETLS: "+why))
			return nil
		}
	}
	utf8 := t.offers("SMTPUTF8")
	for _, i := range batch {
		if utf8 || !t.m.needsUTF8() && !needsUTF8(t.m.From.Addr) && !needsUTF8(t.m.To[i].Addr) {
			list = append(list, i)
			continue
		}
		t.failed[i] = t.unsuited(553, "5.6.7", "the host does not offer SMTPUTF8, which the address or the header needs")
	}
	return list
}

func (t *transaction) unsuited(code int, enhanced, why string) *failure {
	return &failure{host: t.host, elsewhere: true, err: &status.Error{Exit: status.Unavailable,
		Reply: code, Enhanced: enhanced, Text: fmt.Sprintf("%s: %s", t.host, why)}}
}

// path is an address as it goes over the wire: its domain in A-labels, so that
// only a local part beyond ASCII needs SMTPUTF8.
func path(address string) string {
	a, err := addr.Parse(address)
	if err != nil || !a.NeedsUTF8() {
		return address
	}
	if name, err := dns.ASCII(a.Domain); err == nil {
		a.Domain = name
	}
	return a.String()
}

func needsUTF8(address string) bool {
	for _, b := range []byte(path(address)) {
		if b >= 0x80 {
			return true
		}
	}
	return false
}

func (t *transaction) mail(batch []int) bool {
	utf8 := t.m.needsUTF8() || needsUTF8(t.m.From.Addr)
	for _, i := range batch {
		utf8 = utf8 || needsUTF8(t.m.To[i].Addr)
	}
	o := &smtp.MailOptions{Size: t.m.shape.octets, UTF8: utf8, RequireTLS: t.m.requireTLS()}
	o.Return = smtp.DSNReturn(params.Get(t.m.From.Params, "RET"))
	if o.Return != smtp.DSNReturnFull && o.Return != smtp.DSNReturnHeaders {
		o.Return = ""
	}
	if id, ok := decoded(params.Get(t.m.From.Params, "ENVID")); ok {
		o.EnvelopeID = id
	}
	t.wire.expect("MAIL")
	err := t.smtp.Mail(path(t.m.From.Addr), o)
	if t.ok() {
		return true
	}
	t.over = t.trouble(err)
	return false
}

// rcpts names the recipients. Those behind the one at which the host had
// enough are left for later (RFC 5321 4.5.3.1.10).
func (t *transaction) rcpts(batch []int) (accepted, later []int) {
	for n, i := range batch {
		t.wire.expect("RCPT")
		err := t.smtp.Rcpt(path(t.m.To[i].Addr), rcptOptions(t.m.To[i].Params))
		switch {
		case t.ok():
			accepted = append(accepted, i)
		case !t.wire.replied || t.wire.reply.code == 421:
			t.over = t.trouble(err)
			return accepted, batch[n:]
		case len(accepted) > 0 && tooMany(t.wire.reply):
			return accepted, batch[n:]
		default:
			t.failed[i] = t.trouble(err)
		}
	}
	return accepted, nil
}

// tooMany reports whether a reply to RCPT speaks of their number.
func tooMany(r reply) bool {
	if r.code != 452 && r.code != 552 {
		return false
	}
	e := enhanced(r)
	return strings.HasSuffix(e, ".0.0") || strings.HasSuffix(e, ".5.3")
}

// data sends the text. Before the final dot is out another host may be tried;
// behind it only a refusal says that the message was not taken.
func (t *transaction) data() *failure {
	t.wire.expect("DATA")
	d, err := t.smtp.Data()
	if err != nil {
		return t.trouble(err)
	}
	t.wire.text()
	ours, theirs := copyText(d, t.m.text())
	if ours != nil {
		// A dot would make what is out so far a message.
		t.wire.cut(ours)
		return &failure{host: t.host, ours: true, err: status.Temp("4.3.0", "the message cannot be read", ours)}
	}
	if theirs != nil {
		t.wire.lastWords()
		return t.trouble(theirs)
	}
	_, err = d.CloseWithResponse()
	if t.ok() {
		return nil
	}
	f := t.trouble(err)
	f.elsewhere = f.elsewhere && t.wire.replied
	return f
}

// copyText copies the text into an open DATA. A failure is ours where the text
// could not be read, theirs where the host would not take it.
func copyText(w io.Writer, text io.Reader) (ours, theirs error) {
	buf := make([]byte, 32<<10)
	for {
		n, err := text.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return nil, err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		if err != nil {
			return err, nil
		}
	}
}

// rcptOptions passes on what RFC 3461 5.2 wants passed on, where the host
// offers DSN.
func rcptOptions(words string) *smtp.RcptOptions {
	o := &smtp.RcptOptions{}
	for _, word := range params.Notify(words) {
		o.Notify = append(o.Notify, smtp.DSNNotify(word))
	}
	kind, text, _ := strings.Cut(params.Get(words, "ORCPT"), ";")
	if orig, ok := decoded(text); ok && strings.EqualFold(kind, "rfc822") && orig != "" {
		o.OriginalRecipientType, o.OriginalRecipient = smtp.DSNAddressTypeRFC822, orig
	}
	return o
}

// decoded is an xtext value that go-smtp may be given: printable ASCII.
func decoded(xtext string) (string, bool) {
	s, ok := params.Decode(xtext)
	for i := 0; i < len(s); i++ {
		ok = ok && s[i] < 0x80
	}
	return s, ok
}
