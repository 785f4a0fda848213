package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/milter"
	"paperpath/internal/spool"
)

// Facts are what milters are told about a session, beside what the checks themselves have
// to know.
type Facts struct {
	Peer     milter.Peer
	TLS      milter.Greeting // without the name
	AuthType string          // the mechanism of the login
	Params   []string        // of MAIL
}

// milterFilter is a milter for one SMTP session: one connection, which is made anew if it
// broke. In check/ and below a pipe it lives for one message.
type milterFilter struct {
	row     control.Filter
	session *milter.Session // nil: no connection
	release func()          // gives its slot back
	greeted bool            // it knows the client
	helo    milter.Greeting // that it knows
	sender  bool            // it knows the sender
	to      int             // recipients that it knows
	away    error           // it gave no answer in this transaction
	keep    []io.Closer     // what a changed message reads
}

// Name implements Check.
func (*milterFilter) Name() string { return filtersName }

// Ask implements Check.
func (f *milterFilter) Ask(ctx context.Context, m *Case, q Query) Finding {
	if !concerns(f.row, m) {
		return Finding{Result: "none", Reason: f.row.Name + ": only for mail that is " + string(f.row.For)}
	}
	got, err := f.message(ctx, m)
	text := strings.TrimSuffix(string(got.action)+": "+got.reason, ": ")
	if err != nil {
		text = err.Error()
	}
	q.Trail.Add("filter "+f.row.Name, text, f.row.Where)
	if err != nil {
		return f.failed(m, err)
	}
	return f.finding(got)
}

// awayError says that a milter gave no answer; its row says what that means. Any other
// error is a fault of our own.
type awayError struct{ err error }

func (a *awayError) Error() string { return a.err.Error() }
func (a *awayError) Unwrap() error { return a.err }

// failed is the finding for a milter without an answer. That it was passed over stands in
// an event.
func (f *milterFilter) failed(m *Case, err error) Finding {
	var gone *awayError
	if !errors.As(err, &gone) {
		return Finding{Err: err}
	}
	m.Log.FilterAway(m.Key, f.row.Name, string(f.row.Away), err.Error())
	return away(f.row, m, err)
}

// Connect implements ConnectCheck: the milter hears of the client. One that gives no answer
// is asked again at MAIL, and what its row says counts then.
func (f *milterFilter) Connect(ctx context.Context, m *Case, _ Query) Finding {
	return f.early(ctx, m, f.hello, false)
}

// Helo implements HeloCheck.
func (f *milterFilter) Helo(ctx context.Context, m *Case, _ Query) Finding {
	return f.early(ctx, m, f.greet, false)
}

// Mail implements MailCheck.
func (f *milterFilter) Mail(ctx context.Context, m *Case, _ Query) Finding {
	return f.early(ctx, m, f.mail, true)
}

// Rcpt implements RcptCheck.
func (f *milterFilter) Rcpt(ctx context.Context, m *Case, to spool.Recipient, _ Query) Finding {
	return f.early(ctx, m, func(ctx context.Context, m *Case) (milter.Answer, error) { return f.rcpt(ctx, m, to) }, true)
}

// early asks before there is a message. A message that is discarded then is discarded at
// its end; if the milter is away and mail does not wait for it, the message says so.
func (f *milterFilter) early(ctx context.Context, m *Case, ask func(context.Context, *Case) (milter.Answer, error), counts bool) Finding {
	if !concerns(f.row, m) {
		return Finding{}
	}
	a, err := ask(ctx, m)
	if err == nil {
		if got := verdictOf(a); got.err != nil {
			return f.finding(got)
		}
		return Finding{}
	}
	err = f.lost(err)
	switch {
	case !counts:
		f.away = nil
		return Finding{}
	case f.away != nil && f.row.Away != control.AwayTempfail:
		return Finding{}
	}
	return f.failed(m, err)
}

// Reset implements Resetter.
func (f *milterFilter) Reset() { f.reset() }

// Close implements Closer.
func (f *milterFilter) Close() { f.close() }

// reset ends a transaction.
func (f *milterFilter) reset() {
	for _, c := range f.keep {
		c.Close()
	}
	f.keep = nil
	if f.session != nil && f.sender {
		// A broken connection is found, and named, when it is needed again.
		if err := f.session.Abort(context.Background()); err != nil {
			f.hangUp()
		}
	}
	f.sender, f.to, f.away = false, 0, nil
}

// close ends the session.
func (f *milterFilter) close() {
	f.reset()
	f.hangUp()
}

func (f *milterFilter) hangUp() {
	if f.session != nil {
		f.session.Close()
		f.release()
	}
	f.session, f.release, f.greeted, f.helo, f.sender = nil, nil, false, milter.Greeting{}, false
}

// lost notes that the milter gave no answer, which holds for the transaction.
func (f *milterFilter) lost(err error) error {
	var away *milter.Away
	if !errors.As(err, &away) {
		return err
	}
	f.hangUp()
	f.away = &awayError{err}
	return f.away
}

// dial connects, within the number of connections that the row allows.
func (f *milterFilter) dial(ctx context.Context, m *Case) error {
	if f.session != nil {
		return nil
	}
	limit, err := m.Control.Databytes()
	if err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, f.row.Milter.Connect)
	defer cancel()
	release, err := m.slots.take(wait, f.row.Name+" "+f.row.Address, f.row.Milter.Connections)
	if err != nil {
		return f.lost(&milter.Away{Filter: f.row.Name, Stage: milter.AtConnect,
			Err: fmt.Errorf("all %d connections are in use", f.row.Milter.Connections)})
	}
	f.session, err = milter.Dial(ctx, milter.Filter{Name: f.row.Name, Network: f.row.Network, Address: f.row.Address,
		Connect: f.row.Milter.Connect, Send: milter.DefaultSend, Read: f.row.Time, End: f.row.Milter.End,
		MaxBody: 2 * limit, Scratch: func() milter.Scratch { return m.buffer() }})
	if err != nil {
		f.session = nil
		release()
		return f.lost(err)
	}
	f.release = release
	return nil
}

// facts are those of the session; below a pipe only the client's address is known.
func (f *milterFilter) facts(ctx context.Context, m *Case) Facts {
	if m.Facts != nil {
		return m.Facts(ctx)
	}
	if !m.Client.IsValid() {
		return Facts{}
	}
	return Facts{Peer: milter.Peer{Client: netip.AddrPortFrom(m.Client, 0)}}
}

// hello shows the milter who the client is, if it does not know.
func (f *milterFilter) hello(ctx context.Context, m *Case) (milter.Answer, error) {
	if err := f.dial(ctx, m); err != nil || f.greeted {
		return milter.Answer{}, err
	}
	p := f.facts(ctx, m).Peer
	p.Host = m.Host
	a, err := f.session.Hello(ctx, p)
	f.greeted = err == nil
	return a, err
}

// greet shows it how the client greeted us, too, as far as it does not know.
func (f *milterFilter) greet(ctx context.Context, m *Case) (milter.Answer, error) {
	a, err := f.hello(ctx, m)
	if err != nil || a.Err() != nil {
		return a, err
	}
	helo := m.Helo
	if helo == "" && !m.Client.IsValid() {
		helo = "localhost" // as Postfix says of what no client sent
	}
	if helo == "" {
		return milter.Answer{}, nil
	}
	g := f.facts(ctx, m).TLS
	if g.Name = helo; f.helo == g {
		return milter.Answer{}, nil
	}
	if a, err = f.session.Helo(ctx, g); err == nil {
		f.helo = g
	}
	return a, err
}

// mail shows it the sender.
func (f *milterFilter) mail(ctx context.Context, m *Case) (milter.Answer, error) {
	if f.away != nil {
		return milter.Answer{}, f.away
	}
	a, err := f.greet(ctx, m)
	if err != nil || a.Err() != nil || f.sender {
		return a, err
	}
	f.sender = true
	facts := f.facts(ctx, m)
	return f.session.Sender(ctx, milter.Sender{Addr: m.Envelope.From.Addr, Params: facts.Params,
		Key: m.Key, AuthType: facts.AuthType, Login: m.Login, Author: m.Login})
}

// rcpt shows it a recipient.
func (f *milterFilter) rcpt(ctx context.Context, m *Case, to spool.Recipient) (milter.Answer, error) {
	if f.away != nil {
		return milter.Answer{}, f.away
	}
	if f.session == nil {
		return milter.Answer{}, nil
	}
	f.to++
	_, domain := addr.Split(to.Addr)
	_, local, err := m.Control.IsLocal(domain)
	if err != nil {
		return milter.Answer{}, err
	}
	return f.session.Recipient(ctx, milter.Recipient{Addr: to.Addr, Params: strings.Fields(to.Params), Local: local})
}

// envelope shows it what it does not know of the envelope: in check/ and below a pipe,
// that is all of it. Then a recipient that it refuses refuses the message.
func (f *milterFilter) envelope(ctx context.Context, m *Case) (milter.Answer, error) {
	a, err := f.mail(ctx, m)
	if f.to > 0 {
		return a, err
	}
	for _, to := range m.Envelope.To {
		if err != nil || a.Err() != nil {
			break
		}
		if !to.Done {
			a, err = f.rcpt(ctx, m, to)
		}
	}
	return a, err
}

// message asks about a whole message.
func (f *milterFilter) message(ctx context.Context, m *Case) (milterSays, error) {
	if f.away != nil {
		return milterSays{}, f.away
	}
	a, err := f.envelope(ctx, m)
	if err == nil && a.Err() != nil {
		return verdictOf(a), nil
	}
	var changes *milter.Changes
	text := milter.Text{Body: m.Body, Header: m.Header}
	if m.stranger() { // what a submitter sends may be signed, and our fields do not leave
		text.Ours = m.results
	}
	if err == nil {
		changes, a, err = f.session.Message(ctx, text)
	}
	f.sender = false // it has forgotten the message
	if err != nil {
		return milterSays{}, f.lost(err)
	}
	f.keep = append(f.keep, changes)
	got := verdictOf(a)
	if got.action != control.CheckAccept {
		return got, nil
	}
	return f.changed(m, text, changes)
}
