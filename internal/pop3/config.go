// Package pop3 is the server's side of POP3 (RFC 1939, 2449, 2595, 3206, 5034,
// 6856) over Maildir. Serve is one session on any connection; it knows nothing of
// listeners, user tables or processes.
//
// A session works on a snapshot of the mailbox, taken at login under the mailbox's
// lock. Messages pass through unchanged but for what RFC 1939 demands: line ends
// become CRLF, and a leading dot is doubled. Only a complete QUIT deletes anything.
package pop3

import (
	"context"
	"crypto/tls"
	"net"
	"path/filepath"
	"time"

	"paperpath/internal/auth"
	"paperpath/internal/maillog"
)

// Account is the mailbox of a login.
type Account struct {
	Login    string // the whole address, as the user table has it
	Maildir  string // path; if it does not exist yet, the mailbox is empty
	Folder   string // a Maildir++ folder in it, which must exist; "" is the inbox
	ReadOnly bool   // nothing is deleted, flagged or moved, and the mailbox is not locked
	Foreign  bool   // the mailbox belongs to another user of the machine
}

// inTrash reports whether the mailbox is the folder of deleted messages, where DELE
// is for good.
func (a Account) inTrash() bool { return a.Folder == "Trash" }

// path is the Maildir that the session opens.
func (a Account) path() string {
	if a.Folder == "" {
		return a.Maildir
	}
	return filepath.Join(a.Maildir, "."+a.Folder)
}

// Users authenticates clients and knows their mailboxes. An error that is not the
// client's fault is answered [SYS/TEMP].
type Users interface {
	auth.Verifier

	// Account returns the mailbox of the user who has logged in as login.
	Account(login string) (Account, error)

	// Failed is called for a failed login before it is answered, and makes the
	// client wait. client is its IP address where it has one.
	Failed(ctx context.Context, client, login string)
}

// Config is what a session needs. Zero durations and counts take the defaults
// below.
type Config struct {
	Hostname  string      // named in the greeting; may be empty
	TLS       *tls.Config // nil: no TLS, STLS is not offered
	Implicit  bool        // TLS begins with the first byte (RFC 8314, port 995)
	ClearText bool        // passwords are accepted without TLS: loopback, pipe, Unix socket
	SASL      auth.Policy
	Users     Users // for this session alone
	Log       *maillog.Log
	Client    maillog.Client // as far as it is known before the login
	Now       func() time.Time

	// HandOver starts a process that continues a session with a foreign mailbox.
	// logged waits until all its events are in the log. nil: foreign mailboxes are
	// opened like the others.
	HandOver func(h Handover, log *maillog.Log) (conn *net.UnixConn, logged func(), err error)

	// RoomMade is called when a session of a user may have deleted messages; nil: nobody
	// wants to know.
	RoomMade func(login string)

	Gate       *Gate         // counts the sessions and logins of each user; nil: there are no such limits
	LoginDelay time.Duration // shortest time between two logins of a user (RFC 2449 6.5); 0: none
	MaxPerUser int           // sessions of one user at a time; 0: no limit
	Undelete   time.Duration // how long deleted messages stay in the folder Trash; 0: they do not go there
	Ages       func() bool   // whether the age of what is there may be trusted; nil: it may
	Expire     string        // days that messages are kept (RFC 2449 6.7); "": NEVER

	// IdleTimeout is for each command after the login. RFC 1939 3 asks for 10 minutes.
	IdleTimeout  time.Duration
	LoginTimeout time.Duration // from the greeting to the login
	// Haste is how long a client may now take to log in, because nearly all sessions
	// are taken; 0: no limit but LoginTimeout. nil: it is always 0.
	Haste func() time.Duration

	WriteTimeout time.Duration // for each write of at most 64 KiB
	DrainTimeout time.Duration // how long an idle session goes on once ctx is done
	MaxErrors    int           // wrong commands that are answered; the next one ends the session
	MaxTries     int           // failed logins; the last one ends the session
}

// DefaultMaxErrors is how many wrong commands any session may send: what
// control/limits has by default too, which may only allow more.
const DefaultMaxErrors = 10

// The other defaults of Config.
const (
	defaultIdleTimeout  = 10 * time.Minute
	defaultLoginTimeout = 3 * time.Minute
	defaultWriteTimeout = 2 * time.Minute
	defaultDrainTimeout = 5 * time.Second
	defaultMaxTries     = 5
)

func (c Config) withDefaults() Config {
	setDefault(&c.IdleTimeout, defaultIdleTimeout)
	setDefault(&c.LoginTimeout, defaultLoginTimeout)
	setDefault(&c.WriteTimeout, defaultWriteTimeout)
	setDefault(&c.DrainTimeout, defaultDrainTimeout)
	setDefault(&c.MaxErrors, DefaultMaxErrors)
	setDefault(&c.MaxTries, defaultMaxTries)
	setDefault(&c.Expire, "NEVER")
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}
