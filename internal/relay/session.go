package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"paperpath/internal/maillog"
	"paperpath/internal/smtpc"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// Times are the limits of an attempt.
type Times struct {
	smtpc.Times
	Lookup  time.Duration // for all that an attempt asks the DNS
	Connect time.Duration
	Session time.Duration // for everything up to the end of a text
}

// DefaultTimes returns the times of RFC 5321 4.5.3.2, and our own where it has
// none.
func DefaultTimes() Times {
	return Times{Times: smtpc.DefaultTimes(), Lookup: 30 * time.Second, Connect: 30 * time.Second, Session: 2 * time.Hour}
}

// host is one address of a host to talk to.
type host struct {
	name   string // as the DNS or the route has it
	addr   netip.AddrPort
	routed bool // a row of control/routes or control/sender-routes names it

	implicit bool // TLS begins before the greeting (RFC 8314 3.3)
}

func (h host) String() string {
	if !h.addr.IsValid() { // a socket or a program
		return h.name
	}
	if h.name == h.addr.Addr().String() {
		return h.addr.String()
	}
	return fmt.Sprintf("%s [%s]:%d", h.name, h.addr.Addr(), h.addr.Port())
}

// session is an SMTP session with a host that has answered EHLO or HELO.
type session struct {
	terms
	smtp   *smtpc.Client
	cipher string               // TLS version and cipher, "" in the clear
	state  *tls.ConnectionState // nil in the clear

	distrust error // why the certificate does not prove the host's name
	refused  error // why STARTTLS failed, so that this session is in the clear

	byCertificate bool // the certificate alone is the login: no reply has said yet what the host makes of it
}

// failure is why a host or a recipient was not served.
type failure struct {
	err       *status.Error
	host      host
	reply     string // of the host, or ""
	elsewhere bool   // another host may do better
	silent    bool   // the host was not reached at all
	cause     cause  // of that, or the code of the refusal in its greeting
	refuses   bool   // its greeting was a refusal, for now
	ours      bool   // it would be the same with any host
	loop      bool   // it is this very machine: hosts that are not preferred to it are left out
	rests     bool   // the destination as a whole gets no mail now
	settings  bool   // the host requires something that control/ does not provide

	words   smtpc.Reply   // the whole reply, for the rules
	judged  bool          // they have been applied
	rule    string        // the one that decided, and where it is; "" if none did
	hold    bool          // it says that a person must look at the message
	slow    bool          // it says that the destination gets less mail
	again   time.Duration // it says when to try again, or how long the destination rests; 0: by the schedule
	shuns   shun          // what it says not to try any more
	session *session      // that does not meet its TLS rule, and how: unmet makes a failure of it
	unsafe  error
}

// told is the error for the report: the path of a socket or a program is for our own people.
func (f *failure) told() *status.Error {
	if f.host.addr.IsValid() || !strings.Contains(f.host.name, "/") || !strings.Contains(f.err.Text, f.host.name) {
		return f.err
	}
	e := *f.err
	e.Text = strings.ReplaceAll(e.Text, f.host.name, "the mail system of the recipient")
	e.Log = f.err.Error()
	return &e
}

// connect dials and says EHLO, or HELO to a host that does not know EHLO.
func (r *Relay) connect(ctx context.Context, t terms) (*session, *failure) {
	dialing, cancel := context.WithTimeout(ctx, r.Times.Connect)
	defer cancel()
	c, err := r.dial(dialing, t)
	if err != nil {
		if f := notOurs(t, err); f != nil {
			return nil, f
		}
		if dialing.Err() != nil && ctx.Err() == nil {
			err = smtpc.ErrTime
		}
		return nil, &failure{host: t.host, elsewhere: true, silent: true, cause: causeOf(err, false),
			err: status.Temp("4.4.1", fmt.Sprintf("%s: connect: %v", t.host, smtpc.Plain(err)), nil)}
	}
	s := &session{terms: t}
	if t.host.implicit {
		if c, err = r.inside(ctx, s, c); err != nil {
			return nil, &failure{host: t.host, elsewhere: true, session: s, unsafe: err}
		}
	}
	s.smtp, err = smtpc.Open(ctx, c, t.helo, r.Times.Times, time.Now().Add(r.Times.Session))
	if err != nil {
		f := s.failed(err)
		var e *smtpc.Error
		greets := errors.As(err, &e) && e.Command == greeting
		f.elsewhere, f.silent, f.cause = true, greets && e.Reply.Code == 0, causeOf(err, true)
		f.refuses = greets && e.Reply.Code != 0 && e.Reply.Code != noMailHere
		return nil, f
	}
	if f := r.loop(s); f != nil {
		s.smtp.Quit()
		return nil, f
	}
	return s, nil
}

// greeting is the Command in an *smtpc.Error about the host's greeting.
const greeting = "greeting"

// remote is the host as the log shows it.
func (s *session) remote() maillog.Remote {
	r := maillog.Remote{Host: s.host.name, Addr: s.host.addr.Addr().String(), TLS: s.cipher}
	switch {
	case s.cipher == "":
	case s.distrust == nil:
		r.Verified = "yes"
	default:
		r.Verified = "no"
	}
	r.Rule = s.rule.String()
	return r
}

// offers reports whether the host has an extension.
func (s *session) offers(name string) bool {
	_, ok := s.smtp.Offers(name)
	return ok
}

// failed returns the failure of a command. The first digit of a complete reply decides
// its class; without such a reply it is temporary.
func (s *session) failed(err error) *failure {
	f := &failure{host: s.host}
	after := ""
	if s.refused != nil {
		after = fmt.Sprintf(" (without TLS, since STARTTLS failed: %v)", s.refused)
	}
	var e *smtpc.Error
	if !errors.As(err, &e) || e.Reply.Code == 0 || e.Err != nil {
		f.err = status.Temp("4.4.2", fmt.Sprintf("%s: %v%s", s.host, err, after), nil)
		return f
	}
	f.reply, f.words = visible.Shorten(e.Reply.Text, 512), e.Reply
	text := fmt.Sprintf("%s: %s: %s%s", s.host, e.Command, f.reply, after)
	f.err = byReply(e.Reply, text)
	if (s.host.routed || s.refused != nil) && wantsSettings(e.Reply) || s.byCertificate && refusesStranger(e) {
		if s.host.routed && s.login == "" && e.Reply.Code == 530 {
			text += " (there is no control/relay-logins/" + s.host.name + ")"
		}
		f.settings, f.err = true, status.Temp("4.7.0", text, nil)
	}
	if early(e.Command) && e.Reply.Code != noMailHere && !status.IsTemporary(f.err) {
		// Nothing was asked yet: a 5xx refuses the client, and may do so for now.
		f.err = status.Temp("4.3.2", text, nil)
	}
	return f
}

// refusesStranger reports whether a sender or recipient is refused as to somebody who did not log in,
// "relaying denied" (RFC 3463 3.8, X.7.0 and X.7.1): to a login that has no reply of its own a host
// says so there.
func refusesStranger(e *smtpc.Error) bool {
	verb, _, _ := strings.Cut(e.Command, " ")
	if verb != "MAIL" && verb != "RCPT" || e.Reply.Class() != 5 {
		return false
	}
	code := e.Reply.Enhanced()
	return code == "5.7.0" || code == "5.7.1" ||
		code == "5.0.0" && strings.Contains(strings.ToLower(e.Reply.Text), "relay")
}

// early reports whether a command comes before the first request of a session.
func early(command string) bool {
	verb, _, _ := strings.Cut(command, " ")
	return command == greeting || verb == "EHLO" || verb == "HELO"
}

// noMailHere is the greeting of a host that accepts no mail at all (RFC 7504 3).
const noMailHere = 521

// byReply classifies a reply that is not a success.
func byReply(r smtpc.Reply, text string) *status.Error {
	if r.Class() == 5 {
		return &status.Error{Exit: status.Unavailable, Reply: r.Code, Enhanced: r.Enhanced(), Text: text}
	}
	e := status.Temp(r.Enhanced(), text, nil)
	if r.Class() == 4 {
		e.Reply = r.Code
	}
	return e
}

// wantsSettings reports whether a permanent refusal is not about the message but about
// how it comes: without a login, with a wrong one, or without TLS (RFC 4954 6,
// RFC 3207 4, RFC 5248). From a host that control/routes names, or that has just
// refused TLS itself, that says something about our settings or the host's trouble, and
// nothing about the message or a recipient.
func wantsSettings(r smtpc.Reply) bool {
	switch r.Code {
	case 530, 534, 535, 538:
		return true
	}
	switch r.Enhanced() {
	case "5.7.8", "5.7.9", "5.7.10", "5.7.11":
		return true
	}
	return false
}
