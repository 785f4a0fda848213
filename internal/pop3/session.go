package pop3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"paperpath/internal/maillog"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// Why a session ended, beside the errors of the wire.
var (
	errQuit   = errors.New("quit")
	errErrors = errors.New("too many errors")
	errTries  = errors.New("too many failed logins")

	errHandedOver = errors.New("handed over to another process")
	errRefused    = errors.New("refused") // a resumed session could not open its mailbox
)

// session is one client from the greeting to the close.
type session struct {
	cfg    Config
	ctx    context.Context
	wire   *stream
	client maillog.Client // for the log; its login and TLS are filled in as they come

	secure     bool // inside TLS
	tls        *tls.ConnectionState
	leaf       *x509.Certificate // our own, which TLS used
	utf8       bool              // by UTF8
	userName   string            // from USER, until PASS
	loginLimit time.Time         // by which the client must have logged in
	tries      int               // failed logins
	errors     int               // wrong commands

	announced []string // the answer to CAPA, if another process has handed the session over; nil: as here

	drop     *drop  // nil before the login
	admitted string // the user whom the gate let in, "" for none
}

// Serve serves one session on conn and closes it. It returns nil however the client
// behaved; an error is a fault of our own, and is in the log. Once ctx is done, a client
// that sends no command within cfg.DrainTimeout is disconnected; nothing is deleted
// without its QUIT.
func Serve(ctx context.Context, conn net.Conn, cfg Config) (err error) {
	return serve(ctx, conn, cfg, (*session).converse)
}

// serve serves one session; talk returns why it ends.
func serve(ctx context.Context, conn net.Conn, cfg Config, talk func(*session) error) (err error) {
	cfg = cfg.withDefaults()
	s := &session{cfg: cfg, ctx: ctx, client: cfg.Client}
	s.wire = newStream(conn, &s.cfg)
	defer s.wire.Close()
	err = status.Guard(func() error {
		defer context.AfterFunc(ctx, s.wire.interrupt)()
		s.end(talk(s))
		return nil
	})
	if err != nil {
		err = status.Logged(fmt.Errorf("pop3 session: %w", err))
		s.cfg.Log.Trouble("", "pop3", err)
		s.drop.release()
		s.leave()
	}
	return err
}

// converse greets the client and runs its commands.
func (s *session) converse() error {
	begin := time.Now()
	s.loginLimit = begin.Add(s.cfg.LoginTimeout)
	s.wire.allow(s.loginLimit)
	s.wire.hurry(begin)
	if s.cfg.Implicit {
		if err := s.startTLS(); err != nil {
			return err
		}
	}
	s.greet()
	return s.commands()
}

// commands runs commands until there is a reason to end.
func (s *session) commands() error {
	for {
		if err := s.nextCommand(); err != nil {
			return err
		}
	}
}

// greet sends the greeting. It has no <timestamp>: that would offer APOP, which needs
// passwords stored in clear (RFC 1939 7).
func (s *session) greet() {
	if s.cfg.Hostname == "" || strings.ContainsAny(s.cfg.Hostname, "<>") {
		s.ok("Paperpath POP3 ready")
		return
	}
	s.ok("%s Paperpath POP3 ready", visible.Shorten(visible.ASCII(s.cfg.Hostname), 255))
}

// nextCommand reads one command and runs it.
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

// nextLimit is when the next command must be complete. A client that has logged in may
// be idle for a while before each; before that, one limit holds for all of them. A byte
// now and then extends neither.
func (s *session) nextLimit() time.Time {
	if s.drop == nil {
		return s.loginLimit
	}
	return time.Now().Add(s.cfg.IdleTimeout)
}

// end closes the mailbox and logs the end of the session.
func (s *session) end(why error) {
	s.wire.Flush() // the reply to the last command, if the client is still there
	defer s.leave()
	if errors.Is(why, errHandedOver) || errors.Is(why, errRefused) {
		return // another process logs the end
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

// ok begins a positive reply. format and args are our own words and numbers, never
// the client's.
func (s *session) ok(format string, args ...any) {
	s.wire.print("+OK "+format+"\r\n", args...)
}

// fail refuses a valid command; code is a response code of RFC 2449 8 or RFC 3206, ""
// for none.
func (s *session) fail(code, text string) {
	if code != "" {
		code = "[" + code + "] "
	}
	s.wire.print("-ERR %s%s\r\n", code, text)
}

// wrong refuses an invalid command. A client that sends too many of them speaks
// another protocol, or is guessing.
func (s *session) wrong(text string) error {
	s.errors++
	if s.errors > s.cfg.MaxErrors {
		s.fail("", "too many errors, goodbye")
		return errErrors
	}
	s.fail("", text)
	return nil
}

// trouble answers a failure of our own, and logs it.
func (s *session) trouble(op string, err error) error {
	s.cfg.Log.Trouble("", op, err)
	s.wire.print("%s", TroubleReply(err))
	return nil
}

// ErrPermanent is trouble that lasts until somebody corrects a setting.
var ErrPermanent = errors.New("pop3d does not serve this")

// TroubleReply answers trouble of our own. It tells the client no more than to try
// again or to ask a person (RFC 3206 4).
func TroubleReply(err error) string {
	if errors.Is(err, ErrPermanent) {
		return "-ERR [SYS/PERM] the mailbox cannot be served, please ask the postmaster\r\n"
	}
	return "-ERR [SYS/TEMP] temporary failure, please try again later\r\n"
}

// Unavailable tells a client that it cannot be served now, and closes the connection
// (RFC 1939 3, RFC 3206 4).
func Unavailable(conn net.Conn) {
	defer conn.Close()
	conn.SetWriteDeadline(time.Now().Add(time.Second))
	io.WriteString(conn, TroubleReply(nil))
}

// startTLS begins TLS and forgets what was sent in clear text.
func (s *session) startTLS() error {
	cfg, leaf := s.cfg.SASL.ServerTLS(withPOP3(s.cfg.TLS))
	state, err := s.wire.startTLS(s.ctx, cfg)
	if err != nil {
		return err
	}
	s.secure, s.tls, s.leaf, s.userName = true, state, leaf(), ""
	s.client.TLS = maillog.TLS(state)
	return nil
}

// withPOP3 adds the protocol's name for ALPN (RFC 7301), so that the handshake fails
// for a browser that was tricked into connecting (ALPACA).
func withPOP3(config *tls.Config) *tls.Config {
	if config == nil {
		return &tls.Config{MinVersion: tls.VersionTLS12} // without a certificate every handshake fails
	}
	config = config.Clone()
	config.NextProtos = []string{"pop3"}
	return config
}
