package relay

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// host is one address of a host to talk to.
type host struct {
	name   string // as the DNS or the route has it
	addr   netip.AddrPort
	routed bool // control/routes names it
}

func (h host) String() string {
	if h.name == h.addr.Addr().String() {
		return h.addr.String()
	}
	return fmt.Sprintf("%s [%s]:%d", h.name, h.addr.Addr(), h.addr.Port())
}

// session is an SMTP session with a host that has answered EHLO or HELO.
type session struct {
	host host
	wire *wire
	smtp *smtp.Client
	tls  string // version and cipher, "" in the clear
	helo string

	distrust error // why the certificate does not prove the host's name
	refused  error // why STARTTLS came to nothing, so that this session is in the clear
	halt     func() bool
}

// failure is why a host or a recipient was not served.
type failure struct {
	err       *status.Error
	host      host
	reply     string // of the host, or ""
	elsewhere bool   // another host may do better
	silent    bool   // the host was not reached at all
	ours      bool   // it would be the same with any host
	settings  bool   // the host wants what control/ does not give it
}

// connect dials and says EHLO, or HELO to a host that knows no EHLO.
func (r *Relay) connect(ctx context.Context, h host, helo string) (*session, *failure) {
	dialing, cancel := context.WithTimeout(ctx, r.Times.Connect)
	defer cancel()
	c, err := r.Dial(dialing, "tcp", h.addr.String())
	if err != nil {
		if dialing.Err() != nil && ctx.Err() == nil {
			err = errSilent
		}
		return nil, &failure{host: h, elsewhere: true, silent: true,
			err: status.Temp("4.4.1", fmt.Sprintf("%s: connect: %v", h, plain(err)), nil)}
	}
	s := &session{host: h, helo: helo, wire: newWire(c, r.Times, time.Now().Add(r.Times.Session))}
	s.halt = context.AfterFunc(ctx, s.wire.stop)
	s.smtp = smtp.NewClient(s.wire)
	s.wire.allow(r.Times.Greeting, false)
	if err := s.smtp.Hello(helo); err != nil {
		f := s.failed(err)
		f.elsewhere, f.silent = true, s.wire.command == "" && s.wire.reply.code == 0
		s.quit()
		return nil, f
	}
	return s, nil
}

// offers reports whether the host has an extension.
func (s *session) offers(name string) bool {
	ok, _ := s.smtp.Extension(name)
	return ok
}

// failed makes the failure of the last command. A whole reply decides by its
// first digit; without one it is temporary.
func (s *session) failed(err error) *failure {
	what := s.wire.command
	if what == "" {
		what = "greeting"
	}
	f := &failure{host: s.host, reply: visible.Shorten(s.wire.reply.text, 512)}
	if s.wire.broken != nil && !s.wire.replied {
		err = s.wire.broken
	}
	after := ""
	if s.refused != nil {
		after = fmt.Sprintf(" (in the clear, for STARTTLS: %v)", s.refused)
	}
	if !s.wire.replied {
		f.reply = ""
		f.err = status.Temp("4.4.2", fmt.Sprintf("%s: %s: %v%s", s.host, what, err, after), nil)
		return f
	}
	text := fmt.Sprintf("%s: %s: %s%s", s.host, what, f.reply, after)
	f.err = byReply(s.wire.reply, text)
	if (s.host.routed || s.refused != nil) && wantsSettings(s.wire.reply) {
		f.settings, f.err = true, status.Temp("4.7.0", text, nil)
	}
	if s.wire.command == "" && s.wire.reply.code != noMailHere && !status.IsTemporary(f.err) {
		// Nothing was asked yet: a 5xx refuses the client, and may do so for now.
		f.err = status.Temp("4.3.2", text, nil)
	}
	return f
}

// noMailHere greets at a host that takes no mail at all (RFC 7504 3).
const noMailHere = 521

// byReply classes a reply that is no success.
func byReply(r reply, text string) *status.Error {
	if r.class() == 5 {
		return &status.Error{Exit: status.Unavailable, Reply: r.code, Enhanced: enhanced(r), Text: text}
	}
	e := status.Temp(enhanced(r), text, nil)
	if r.class() == 4 {
		e.Reply = r.code
	}
	return e
}

// wantsSettings reports whether a host refuses for good not the message but how
// it comes: without a login, with a wrong one, or without TLS (RFC 4954 6, RFC
// 3207 4, RFC 5248). Of a host that control/routes names, or that has just
// refused TLS itself, that says something about our settings or the host's
// trouble, and nothing about the message or a recipient.
func wantsSettings(r reply) bool {
	switch r.code {
	case 530, 534, 535, 538:
		return true
	}
	switch enhanced(r) {
	case "5.7.8", "5.7.9", "5.7.10", "5.7.11":
		return true
	}
	return false
}

// enhanced is the status in a reply (RFC 2034), or one that says as much as
// its first digit.
func enhanced(r reply) string {
	class := byte('4')
	if r.class() == 5 {
		class = '5'
	}
	if len(r.text) > 4 {
		word, _, _ := strings.Cut(r.text[4:], " ")
		if parts := strings.Split(word, "."); len(parts) == 3 && word[0] == class &&
			digits(parts[0], 1) && digits(parts[1], 3) && digits(parts[2], 3) {
			return word
		}
	}
	return string(class) + ".0.0"
}

func digits(s string, most int) bool {
	if s == "" || len(s) > most {
		return false
	}
	return strings.Trim(s, "0123456789") == ""
}

// ok reports whether the last command was done, whatever the exact code
// (RFC 5321 4.3.2).
func (s *session) ok() bool { return s.wire.replied && s.wire.reply.class() == 2 }

// close ends the session without a word.
func (s *session) close() {
	s.halt()
	s.wire.cut(net.ErrClosed)
}

// quit says QUIT where the host still listens (RFC 5321 4.1.1.10), and closes.
func (s *session) quit() {
	if s.wire.broken == nil && s.wire.reply.code != 421 {
		_ = s.wire.do("QUIT") // the work is done or has failed already
	}
	s.close()
}
