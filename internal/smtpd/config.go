// Package smtpd is the server's side of SMTP (RFC 5321) and LMTP (RFC 2033) with
// PIPELINING (RFC 2920), SIZE (RFC 1870), 8BITMIME (RFC 6152), SMTPUTF8 (RFC
// 6531), ENHANCEDSTATUSCODES (RFC 2034), CHUNKING (RFC 3030), DSN (RFC 3461),
// LIMITS (RFC 9422), REQUIRETLS (RFC 8689), STARTTLS (RFC 3207) and AUTH (RFC
// 4954): one session on any connection. A Session decides what is accepted and what
// becomes of it.
//
// The engine's first concern is where a message ends. Only CRLF.CRLF ends one. A
// message with a bare CR, a bare LF or a NUL is read to its true end and then
// refused. Text of a message is never read as a command.
package smtpd

import (
	"context"
	"crypto/tls"
	"io"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/auth"
)

// Config holds the settings of a session. A zero field has the default below, except
// that a zero MaxSize or MinRate means no limit.
type Config struct {
	Hostname string
	TLS      *tls.Config // nil: no TLS, STARTTLS is not offered
	Implicit bool        // TLS begins with the first octet (RFC 8314)

	MaxSize       int64 // octets of a message, with CRLF line ends (RFC 1870)
	MaxRecipients int   // of one message
	MaxErrors     int   // refused commands since the last accepted message
	MaxJunk       int   // commands and transactions without mail, empty chunks, refused recipients since then
	MaxLogins     int   // failed logins

	Keywords []string // further lines of the EHLO response

	LMTP      bool // speak LMTP (RFC 2033)
	Normalise bool // take a bare CR or LF in a message as a line end instead of refusing the message

	Auth        bool        // offer AUTH
	AuthInClear bool        // without TLS too: on loopback, pipes and Unix sockets
	SASL        auth.Policy // which mechanisms

	XClient    bool          // offer XCLIENT
	GreetPause time.Duration // before the greeting; a client that sends data meanwhile is refused. 0: no pause

	CommandTimeout time.Duration // from the end of a reply to the end of the next command
	DataTimeout    time.Duration // for each read inside a message
	WriteTimeout   time.Duration // for each write
	DrainTimeout   time.Duration // for a transaction in progress when ctx is done
	// Haste returns how long a client may take now from the greeting, or its last
	// message, to MAIL. It is short while nearly all sessions are taken and 0, no
	// limit, otherwise. nil: never a limit.
	Haste func() time.Duration

	SessionLimit time.Duration // from the greeting to the close
	MinRate      int           // average octets per second inside a message, after the first DataTimeout
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

// Session makes the decisions for one connection. The engine calls it in order, never
// concurrently. An error is a refusal, answered as status.Reply says; code 421 also
// ends the connection. A panic is answered 451 and ends the connection. ctx ends
// with the connection, or DrainTimeout after the server begins to shut down.
type Session interface {
	// Hello is called with the name from EHLO (esmtp) or HELO: 1 to 255 letters,
	// digits and -._:[], every other octet replaced by "?".
	Hello(ctx context.Context, helo string, esmtp bool) error

	// Mail opens a transaction; from is the zero Address for <>.
	Mail(ctx context.Context, from addr.Address, p MailParams) error

	// Rcpt adds a recipient; <postmaster> has no Domain (RFC 5321 4.5.1).
	Rcpt(ctx context.Context, to addr.Address, p RcptParams) error

	// Data reads the message, from DATA or BDAT: with LF line ends, the last one
	// included, and dots unstuffed. r returns io.EOF only at the true end of a
	// message that may be accepted, otherwise a *status.Error that says what is
	// wrong with it. The engine reads what Data leaves unread. reply is the text of
	// the 250 reply.
	Data(ctx context.Context, r io.Reader) (reply string, err error)

	// Reset ends the transaction. It is called after every transaction that Mail
	// opened, however that ended.
	Reset(ctx context.Context)
}

// Greeter is a Session that decides whether the client is greeted. An error is the
// greeting, after which the connection is closed (RFC 5321 3.1).
type Greeter interface {
	Greet(ctx context.Context) error
}

// Authenticator is a Session that supports AUTH.
type Authenticator interface {
	auth.Verifier

	// Authenticated is called with the result of AUTH: err is nil if the client
	// proved to be login; otherwise login is the claimed name, or "". Its own result
	// is what the client gets.
	Authenticated(ctx context.Context, mechanism, login string, err error) error
}
