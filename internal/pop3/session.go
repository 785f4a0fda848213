package pop3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"paperpath/internal/maillog"
	"paperpath/internal/status"
)

// Why a session ended, beside the errors of the wire.
var (
	errQuit   = errors.New("quit")
	errErrors = errors.New("too many errors")
	errTries  = errors.New("too many failed logins")

	errHandedOver = errors.New("handed over to another process")
	errRefused    = errors.New("refused") // a resumed session did not begin
)

// session is one client from the greeting to the close.
type session struct {
	cfg    Config
	ctx    context.Context
	wire   *wire
	client maillog.Client // with its login and TLS, as they come

	secure     bool // inside TLS
	tls        *tls.ConnectionState
	leaf       *x509.Certificate // of ours, that TLS used
	utf8       bool              // by UTF8
	userName   string            // from USER, until PASS
	loginLimit time.Time         // by which the client must have logged in
	tries      int               // failed logins
	errors     int               // wrong commands

	announced []string // by CAPA, where another process has seen the login; nil: it is found out

	drop     *drop  // nil before the login
	admitted string // the user whom the gate let in, "" for none
}

// Serve holds one session on conn and closes it. It returns nil however the
// client behaved; an error is trouble of our own, which was logged. Once ctx
// is done a client that does not send a command within cfg.DrainTimeout is let
// go, without the deletions that it did not confirm by QUIT.
func Serve(ctx context.Context, conn net.Conn, cfg Config) (err error) {
	return serve(ctx, conn, cfg, (*session).converse)
}

// serve serves one session: talk, until there is a reason to end.
func serve(ctx context.Context, conn net.Conn, cfg Config, talk func(*session) error) (err error) {
	cfg = cfg.withDefaults()
	s := &session{cfg: cfg, ctx: ctx, wire: newWire(conn, cfg), client: cfg.Client}
	defer s.wire.close()
	err = status.Guard(func() error {
		defer context.AfterFunc(ctx, s.wire.drainNow)()
		s.end(talk(s))
		return nil
	})
	if err != nil {
		err = fmt.Errorf("pop3 session: %w", err)
		s.cfg.Log.Trouble("", "pop3", err)
		s.drop.release()
		s.leave()
	}
	return err
}

// converse greets the client and carries out its commands.
func (s *session) converse() error {
	begin := time.Now()
	s.loginLimit = begin.Add(s.cfg.LoginTimeout)
	s.wire.allow(s.loginLimit)
	if s.cfg.Haste != nil {
		s.wire.hurry(begin, s.cfg.Haste)
	}
	if s.cfg.Implicit {
		if err := s.startTLS(); err != nil {
			return err
		}
	}
	s.greet()
	return s.commands()
}

// commands carries out commands until there is a reason to end.
func (s *session) commands() error {
	for {
		if err := s.nextCommand(); err != nil {
			return err
		}
	}
}

// greet says who is there. Without a <time stamp>: that would offer APOP,
// which needs passwords stored in clear (RFC 1939 7).
func (s *session) greet() {
	if s.cfg.Hostname == "" {
		s.ok("Paperpath POP3 ready")
		return
	}
	s.ok("%s Paperpath POP3 ready", printable(s.cfg.Hostname))
}

// nextCommand reads one command and carries it out.
func (s *session) nextCommand() error {
	s.wire.allow(s.nextLimit())
	line, err := s.wire.readLine()
	switch {
	case errors.Is(err, errLongLine):
		return s.wrong("line too long")
	case err != nil:
		return err
	}
	if err := s.command(line); err != nil {
		return err
	}
	return s.wire.spill()
}

// nextLimit is when the next command must be complete: a logged-in client may
// be idle for a while, one that is not logged in has one span of time for it
// all. A client that sends a byte now and then gains nothing.
func (s *session) nextLimit() time.Time {
	if s.drop == nil {
		return s.loginLimit
	}
	return time.Now().Add(s.cfg.IdleTimeout)
}

// end lets go of the mailbox and logs what there was.
func (s *session) end(why error) {
	s.wire.flush() // the answer to the last command; a client that is gone needs none
	defer s.leave()
	if errors.Is(why, errHandedOver) || errors.Is(why, errRefused) {
		return // another process tells of this session
	}
	quit := errors.Is(why, errQuit)
	if s.drop != nil {
		s.drop.abandon()
		s.cfg.Log.Fetched(s.drop.account.path(), s.drop.retrieved, s.drop.removed, s.drop.octets, quit, s.client)
	}
	s.cfg.Log.Disconnected(reason(why), s.retrieved(), s.client)
}

func (s *session) retrieved() int {
	if s.drop == nil {
		return 0
	}
	return s.drop.retrieved
}

// reason is why a session ended, in the words of maillog(5).
func reason(why error) string {
	if errors.Is(why, io.EOF) {
		return "end of input"
	}
	return why.Error()
}

// ok begins a reply. format and args are our own words and numbers, never the
// client's.
func (s *session) ok(format string, args ...any) {
	s.wire.print("+OK "+format+"\r\n", args...)
}

// fail refuses a command that was in order; code is a response code of
// RFC 2449 8 or RFC 3206, "" for none.
func (s *session) fail(code, text string) {
	if code != "" {
		code = "[" + code + "] "
	}
	s.wire.print("-ERR %s%s\r\n", code, text)
}

// wrong refuses a command that was not in order. A client that sends too many
// of them speaks another protocol, or guesses.
func (s *session) wrong(text string) error {
	s.errors++
	if s.errors > s.cfg.MaxErrors {
		s.fail("", "too many errors, goodbye")
		return errErrors
	}
	s.fail("", text)
	return nil
}

// trouble answers for a failure of our own, and logs what it was.
func (s *session) trouble(op string, err error) error {
	s.cfg.Log.Trouble("", op, err)
	s.wire.print("%s", TroubleReply(err))
	return nil
}

// ErrPermanent is trouble that ends only when somebody mends a setting.
var ErrPermanent = errors.New("pop3d does not serve this")

// TroubleReply is what a client is told of trouble of our own: no more than to
// come again, or to ask a person (RFC 3206 4).
func TroubleReply(err error) string {
	if errors.Is(err, ErrPermanent) {
		return "-ERR [SYS/PERM] the mailbox cannot be served, please ask the postmaster\r\n"
	}
	return "-ERR [SYS/TEMP] temporary failure, please try again later\r\n"
}

// Unavailable greets a client that cannot be served now, and ends the session
// (RFC 1939 3, RFC 3206 4).
func Unavailable(conn net.Conn) {
	defer conn.Close()
	conn.SetWriteDeadline(time.Now().Add(time.Second))
	io.WriteString(conn, TroubleReply(nil))
}

// startTLS begins TLS and forgets what was said in clear text.
func (s *session) startTLS() error {
	cfg, leaf := s.cfg.SASL.ServerTLS(withPOP3(s.cfg.TLS))
	state, err := s.wire.startTLS(s.ctx, cfg)
	if err != nil {
		return err
	}
	s.secure, s.tls, s.leaf, s.userName = true, &state, leaf(), ""
	s.client.TLS = maillog.TLS(&state)
	return nil
}

// withPOP3 names the protocol for ALPN (RFC 7301), so that a browser tricked
// into speaking to us is refused in the handshake (ALPACA).
func withPOP3(config *tls.Config) *tls.Config {
	if config == nil {
		return &tls.Config{MinVersion: tls.VersionTLS12} // has no certificate: every handshake fails
	}
	config = config.Clone()
	config.NextProtos = []string{"pop3"}
	return config
}

// printable returns s with every byte that has no place in a reply replaced.
func printable(s string) string {
	clean := []byte(s)
	for i, c := range clean {
		if c < ' ' || c > '~' || c == '<' || c == '>' {
			clean[i] = '?'
		}
	}
	return string(clean[:min(len(clean), 255)])
}
