// Package smtpd is the server's side of SMTP (RFC 5321) and LMTP (RFC 2033) with
// PIPELINING (RFC 2920), SIZE (RFC 1870), 8BITMIME (RFC 6152), SMTPUTF8 (RFC
// 6531), ENHANCEDSTATUSCODES (RFC 2034), CHUNKING (RFC 3030), DSN (RFC 3461),
// LIMITS (RFC 9422), REQUIRETLS (RFC 8689), STARTTLS (RFC 3207) and AUTH (RFC
// 4954): one session on any connection. What is accepted, and what becomes of
// it, is for a Session to say.
//
// The engine's first concern is where a message ends. Only CRLF.CRLF ends one;
// a bare CR, a bare LF or a NUL has it refused behind its true end; and what
// was once text is never read as a command.
package smtpd

import (
	"context"
	"crypto/tls"
	"io"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/auth"
)

// Config is what a session needs to know. Zero takes the defaults below, but
// for MaxSize and MinRate, where it means no limit.
type Config struct {
	Hostname string
	TLS      *tls.Config // nil: no TLS, STARTTLS is not offered
	Implicit bool        // TLS begins with the first octet (RFC 8314)

	MaxSize       int64 // octets of a message, with CRLF line ends (RFC 1870)
	MaxRecipients int   // of one message
	MaxErrors     int   // refused commands since the last accepted message
	MaxJunk       int   // commands, empty chunks and transactions without mail, and refused recipients, since the same
	MaxLogins     int   // failed logins

	Keywords []string // lines of the answer to EHLO beside the engine's own

	LMTP      bool // speak LMTP (RFC 2033)
	Normalise bool // a bare CR or LF in a message is a line end; else it has the message refused

	Auth        bool        // offer AUTH
	AuthInClear bool        // also without TLS: on loopback, pipes and Unix sockets
	SASL        auth.Policy // with which mechanisms

	XClient    bool          // take XCLIENT, and offer it
	GreetPause time.Duration // before the greeting; who talks meanwhile is refused. 0: none is

	CommandTimeout time.Duration // from the end of a reply to the end of the next command
	DataTimeout    time.Duration // for each read inside a message
	WriteTimeout   time.Duration // for each write
	DrainTimeout   time.Duration // for a transaction under way when ctx is done
	// Haste is how long a client may take to MAIL now, from the greeting or its
	// last message on, because nearly all sessions are taken; 0: there is no
	// haste. nil: there never is.
	Haste func() time.Duration

	SessionLimit time.Duration // from greeting to close
	MinRate      int           // octets a second inside a message, on average, beyond the first DataTimeout
}

// The defaults of Config.
const (
	defaultMaxRecipients  = 1000
	defaultMaxErrors      = 10
	defaultMaxJunk        = 100
	defaultMaxLogins      = 5
	defaultCommandTimeout = 5 * time.Minute // RFC 5321 4.5.3.2.7
	defaultDataTimeout    = 3 * time.Minute // RFC 5321 4.5.3.2.5
	defaultWriteTimeout   = 2 * time.Minute
	defaultDrainTimeout   = 10 * time.Second
	defaultSessionLimit   = time.Hour
)

func (c Config) withDefaults() Config {
	set(&c.MaxRecipients, defaultMaxRecipients)
	set(&c.MaxErrors, defaultMaxErrors)
	set(&c.MaxJunk, defaultMaxJunk)
	set(&c.MaxLogins, defaultMaxLogins)
	set(&c.CommandTimeout, defaultCommandTimeout)
	set(&c.DataTimeout, defaultDataTimeout)
	set(&c.WriteTimeout, defaultWriteTimeout)
	set(&c.DrainTimeout, defaultDrainTimeout)
	set(&c.SessionLimit, defaultSessionLimit)
	return c
}

func set[T int | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

// Session answers what the engine asks, for one connection: in order, never
// concurrently. An error refuses, with the reply that status.Reply has for it;
// one with code 421 also ends the connection. A panic is answered 451 and ends
// the connection. ctx ends a little after the server begins to shut down, or
// with the connection.
type Session interface {
	// Hello has the name from EHLO (esmtp) or HELO: 1 to 255 letters, digits
	// and -._:[], any other octet replaced by "?".
	Hello(ctx context.Context, helo string, esmtp bool) error

	// Mail opens a transaction; from is the zero Address for <>.
	Mail(ctx context.Context, from addr.Address, p MailParams) error

	// Rcpt adds a recipient; <postmaster> has no Domain (RFC 5321 4.5.1).
	Rcpt(ctx context.Context, to addr.Address, p RcptParams) error

	// Data takes the message, from DATA or BDAT: LF line ends, the last line
	// ended, dots unstuffed. r returns io.EOF only at the true end of a message that may be
	// accepted, otherwise a *status.Error that says what is wrong with it. The
	// engine reads what Data leaves. reply is the text of the 250.
	Data(ctx context.Context, r io.Reader) (reply string, err error)

	// Reset forgets the transaction. It is called behind each one that Mail
	// opened, whatever its end.
	Reset(ctx context.Context)
}

// Authenticator is a Session for which there is AUTH.
type Authenticator interface {
	auth.Verifier

	// Authenticated is told how AUTH ended: err is nil where the client proved
	// to be login, otherwise login is whom it said to be, or "". What it returns
	// is answered.
	Authenticated(ctx context.Context, mechanism, login string, err error) error
}
