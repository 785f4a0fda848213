package submit

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/auth"
	"paperpath/internal/check"
	"paperpath/internal/compose"
	"paperpath/internal/control"
	"paperpath/internal/maillog"
	"paperpath/internal/message"
	"paperpath/internal/route"
	"paperpath/internal/smtpd"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// session answers what the protocol engine asks in one SMTP session, by settings,
// checks and routes. A message is checked before it is accepted, so it goes
// straight to route/.
type session struct {
	auth.Users
	server      *server
	conn        *smtpd.Conn
	checks      *check.Session
	ptr         *reverse
	ours        netip.AddrPort // our end of the connection
	theirs      netip.AddrPort // the other one
	relayClient bool           // the wrapper allows the client to relay
	local       bool           // the connection has no address
	unknown     int            // recipients
	slowed      int            // replies that were delayed for that

	helo     string
	login    string
	mech     string // of the login
	tx       transaction
	accepted int
}

// transaction is what MAIL and RCPT gave since the last reset.
type transaction struct {
	from    addr.Address
	words   string // parameters of the reverse path
	size    int64  // SIZE of MAIL, in octets; 0: not given
	to      []spool.Recipient
	trusted bool         // the client may relay without a login
	key     spool.Key    // of the entry that it may become
	params  []string     // of MAIL, for filters
	copies  route.Copies // of the message, one for each target

	found map[addr.Address][]route.Target // what the recipients so far lead to
	kept  int                             // targets and recipients in found
}

func (s *session) client() maillog.Client {
	return maillog.Client{Addr: s.conn.ClientIP(), Helo: s.helo, Login: s.login, TLS: s.conn.TLSInfo()}
}

// Greet asks the filters whether the client is greeted.
func (s *session) Greet(ctx context.Context) error {
	return s.ask(ctx, s.checks.Connect)
}

// Hello notes the client's name, and asks the filters.
func (s *session) Hello(ctx context.Context, helo string, _ bool) error {
	s.helo = helo
	return s.ask(ctx, s.checks.Helo)
}

// ask asks the filters before there is a transaction. Where users log in, they are asked
// at MAIL: only then it is known whose session it is.
func (s *session) ask(ctx context.Context, f func(context.Context, check.Subject) error) error {
	if s.server.role == Submission {
		return nil
	}
	trusted, err := s.mayRelay()
	if err != nil {
		return nil // MAIL says it
	}
	if err := f(ctx, s.subject(transaction{trusted: trusted})); err != nil {
		return s.refuse(addr.Address{}, "", err)
	}
	return nil
}

// Authenticated notes the login, or that it failed.
func (s *session) Authenticated(ctx context.Context, mechanism, login string, err error) error {
	c := s.client()
	c.Login = login
	switch {
	case auth.IsWrong(err):
		s.server.log.LoginFailed(mechanism, err.Error(), c)
		s.Failed(ctx, s.conn.ClientIP(), login)
		return err
	case auth.LimitOf(err) != "":
		s.server.log.Limited(auth.LimitOf(err), c)
		return err
	case err != nil: // no login-failed, for which a filter would ban the client
		s.server.log.Trouble("", "login", err)
		return err
	}
	s.login, s.mech = s.User().Address, mechanism
	c.Login = s.login
	s.server.log.Login(mechanism, c)
	return nil
}

// Trust accepts a login that a host of control/xclientfrom has checked.
func (s *session) Trust(_ context.Context, login string) error {
	address, _, err := auth.AddressOf(s.Control, login)
	if err != nil {
		return err
	}
	user, err := s.Control.User(address)
	if err != nil {
		return err
	}
	if user == nil {
		return &status.Error{Exit: status.NotAllowed, Reply: 550, Enhanced: "5.7.1", Text: "no such user"}
	}
	s.login = user.Address
	s.server.log.Login("XCLIENT", s.client())
	return nil
}

// Mail opens a transaction, with the settings in force now.
func (s *session) Mail(ctx context.Context, from addr.Address, p smtpd.MailParams) error {
	s.Control.Anew()
	err := s.mayMail()
	if err == nil {
		err = s.tooMany("messages", 1)
	}
	if err != nil {
		return s.refuse(from, "", err)
	}
	if s.login != "" {
		who := check.Submitter{Login: s.login}
		err := check.Sender(s.Control, who, from, resolver(s.Control), nil)
		if err != nil {
			return s.refuse(from, "", err)
		}
	}
	tx := transaction{from: from, words: p.Words(), size: p.Size, key: s.server.spool.Reserve(), params: p.All()}
	if tx.trusted, err = s.mayRelay(); err != nil {
		return s.refuse(from, "", err)
	}
	if err := s.checks.Mail(ctx, s.subject(tx)); err != nil {
		return s.refuse(from, "", err)
	}
	s.tx = tx
	return nil
}

// subject is what the checks have to know of a transaction.
func (s *session) subject(tx transaction) check.Subject {
	ip, _ := netip.ParseAddr(s.conn.ClientIP())
	return check.Subject{
		Envelope: spool.Envelope{From: spool.Path{Addr: tx.from.String(), Params: tx.words}, To: tx.to},
		With:     s.conn.With(), SMTPPeer: s.login == "", Trusted: tx.trusted, Client: ip, Helo: s.helo, Declared: tx.size,
		Login: s.login, Resolve: resolver(s.Control), Key: string(tx.key),
		Facts: func(ctx context.Context) check.Facts { return s.facts(ctx, tx) }}
}

// mayMail refuses a client of the role submission that needs a login and has none.
func (s *session) mayMail() error {
	if s.server.role != Submission || s.login != "" {
		return nil
	}
	if ok, err := s.mayRelay(); ok || err != nil {
		return err
	}
	return &status.Error{Exit: status.NotAllowed, Reply: 530, Enhanced: "5.7.0", Text: "authentication required"}
}

// Data accepts the message: it is buffered, checked, and then written once.
func (s *session) Data(ctx context.Context, r io.Reader) (string, error) {
	buf := s.server.spool.Buffer()
	defer buf.Close()
	if _, err := io.Copy(buf, r); err != nil {
		return "", s.refuse(s.tx.from, s.recipients(), err)
	}
	key, err := s.store(ctx, buf)
	if err != nil {
		return "", s.refuse(s.tx.from, s.recipients(), err)
	}
	s.accepted++
	return "accepted as " + string(key), nil
}

func (s *session) recipients() string {
	return strings.Join(addresses(spool.Envelope{To: s.tx.to}), " ")
}

// store checks a message and stores it: in route/, or in hold/ if a check says so.
func (s *session) store(ctx context.Context, buf *message.Buffer) (spool.Key, error) {
	sub := s.subject(s.tx)
	var err error
	if sub.Body, sub.Claims, err = s.compose(buf); err != nil {
		return "", err
	}
	if sub.Claims != nil {
		if sub.Envelope.From, err = rewrittenPath(s.Control, sub.Envelope.From, nil); err != nil {
			return "", err
		}
	}
	if err := s.mayCopy(sub.Body.Size()); err != nil {
		return "", err
	}
	trace, err := s.trace()
	if err != nil {
		return "", err
	}
	sub.Received = spool.Received(trace, s.server.now())
	verdict := s.server.judge(s.checks, ctx, sub, nil)
	var key spool.Key
	s.server.log.Together(func(log *maillog.Log) { // the events of a message are one write
		key, err = s.keep(log, verdict, trace)
		s.server.checker.Record(log, string(key), verdict, s.client())
	})
	return key, err
}

// keep does with a message what the verdict says. A message that is discarded has the key
// that it would have had.
func (s *session) keep(log *maillog.Log, v check.Verdict, trace spool.Trace) (spool.Key, error) {
	switch {
	case v.Action == control.CheckDiscard:
		log.Dropped(string(s.tx.key), string(spool.InboxCheck), v.Reason())
		return s.tx.key, nil
	case !v.Passes() && v.Action != control.CheckHold:
		return "", v.Err
	}
	in, key := spool.InboxRoute, s.tx.key
	var err error
	copies := taps{s.Control, s.server.copied, s.server.now}
	var noted func()
	if v.Envelope, noted, err = copies.withCopies(v.Envelope, v.Header, v.Body); err != nil {
		return "", err
	}
	if v.Action == control.CheckHold {
		in = spool.InboxHold
		err = s.server.spool.AcceptHeld(key, v.Envelope, v.Results, trace, v.Body, v.Reason())
	} else {
		err = s.server.spool.AcceptAs(key, in, v.Envelope, v.Results, trace, v.Body)
	}
	if err != nil {
		return "", err
	}
	noted()
	log.Accepted(maillog.Message{Key: string(key), Inbox: string(in), From: v.Envelope.From.Addr,
		To: addresses(v.Envelope), Size: v.Body.Size(), With: trace.With, ID: v.Header.Value("Message-ID")},
		s.client())
	if in == spool.InboxHold {
		log.Held(string(key), string(spool.InboxCheck), v.Reason())
	}
	return key, nil
}

// compose completes the message of a submitter, and returns what it says of them before
// addresses are replaced. That of anybody else is checked as it came.
func (s *session) compose(buf *message.Buffer) (spool.Body, *check.Claimed, error) {
	submits, err := s.submits()
	if err != nil || !submits {
		return buf, nil, err
	}
	h, err := check.ReadHeader(s.Control, buf)
	if err != nil {
		return nil, nil, err
	}
	m, err := compose.New(h, buf)
	if err != nil {
		return nil, nil, err
	}
	m.Drop(compose.Forged(h, s.server.hostname))
	domain, err := s.complete(m)
	return m.Body(), &check.Claimed{From: s.tx.from.String(), Header: h, Domain: domain}, err
}

// complete completes the message of a submitter, and returns the domain that addresses
// without one got.
func (s *session) complete(m *compose.Message) (domain string, err error) {
	o := compose.Origin{Host: s.server.hostname, Now: s.server.now(),
		Author: compose.Author{Address: s.tx.from}, Rewrite: rewriter(s.Control)}
	if login, err := addr.Parse(s.login); err == nil {
		o.Domain = addr.FoldDomain(login.Domain)
		if o.Author.Address.IsNull() {
			o.Author.Address = login
		}
	} else if o.Domain, err = ourDomain(s.Control); err != nil {
		return "", err
	}
	return o.Domain, m.Complete(o)
}

// submits reports whether the client is a submitter (RFC 6409), whose messages are
// completed: a user, or a host that may relay without a login, such as a printer
// or an application, on whatever port. LMTP brings what another system has
// completed.
func (s *session) submits() (bool, error) {
	switch {
	case s.login != "" || s.server.role == Submission:
		return true, nil
	case s.server.role != MX:
		return false, nil
	}
	return s.mayRelay()
}

// Reset forgets the transaction.
func (s *session) Reset(context.Context) {
	s.tx = transaction{}
	s.checks.Reset()
}

// close ends the session.
func (s *session) close() {
	if s != nil {
		s.checks.Close()
	}
}

// refuse writes the event and returns err.
func (s *session) refuse(from addr.Address, to string, err error) error {
	refusal(s.server.log, from.String(), to, err, s.client())
	return err
}

// refusal logs the reply, and what only our own people may read.
func refusal(log *maillog.Log, from, to string, err error, c maillog.Client) {
	code, enhanced, text := status.Reply(err)
	reason := ""
	if why := status.Cause(err); why != nil && !status.IsTemporary(err) {
		reason = why.Error()
	}
	log.Refused(from, to, fmt.Sprintf("%d %s %s", code, enhanced, text), reason, c)
	if status.IsTemporary(err) && !control.IsBrokenRow(err) && !check.IsVerdict(err) {
		log.Trouble("", "session", err)
	}
}

func addresses(env spool.Envelope) []string {
	var list []string
	for _, r := range env.To {
		list = append(list, r.Addr)
	}
	return list
}
