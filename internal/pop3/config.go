// Package pop3 is the server's side of POP3 (RFC 1939, 2449, 2595, 3206, 5034, 6856) over
// Maildir. Serve is one session on any connection; it knows nothing of
// listeners, user tables or programs.
//
// A session is a snapshot of the mailbox, taken at login under the mailbox's
// lock. Message bytes pass through unchanged but for what RFC 1939 demands:
// line ends become CRLF, a leading dot is doubled. Nothing is deleted except
// by a complete QUIT.
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

// Account is a mailbox that a login opened.
type Account struct {
	Login    string // the whole address, as the user table has it
	Maildir  string // path; a Maildir that does not exist yet is an empty mailbox
	Folder   string // a Maildir++ folder in it, which must exist; "" is the inbox
	ReadOnly bool   // nothing is deleted, flagged or moved, and no lock is taken
	Foreign  bool   // the mailbox belongs to another user of the machine
}

// inTrash reports whether the session is in the folder of what was deleted:
// there DELE is for good.
func (a Account) inTrash() bool { return a.Folder == "Trash" }

// path is the Maildir that the session opens.
func (a Account) path() string {
	if a.Folder == "" {
		return a.Maildir
	}
	return filepath.Join(a.Maildir, "."+a.Folder)
}

// Users proves clients and knows their mailboxes. What is trouble of our own is
// answered by [SYS/TEMP].
type Users interface {
	auth.Verifier

	// Account returns the mailbox of the user whom login was proved to be.
	Account(login string) (Account, error)

	// Failed is told of a wrong login before it is answered, and keeps the
	// client waiting. client is its IP address where it has one.
	Failed(ctx context.Context, client, login string)
}

// Config is what a session needs. Zero durations and counts take the defaults
// below.
type Config struct {
	Hostname  string      // named in the greeting; may be empty
	TLS       *tls.Config // nil: no TLS, STLS is not offered
	Implicit  bool        // TLS begins with the first byte (RFC 8314, port 995)
	ClearText bool        // passwords are taken without TLS: loopback, pipe, Unix socket
	SASL      auth.Policy
	Users     Users // for this session alone
	Log       *maillog.Log
	Client    maillog.Client // Addr, and UID where known: what is there before the session
	Now       func() time.Time

	// HandOver starts a process that goes on with the session of a foreign mailbox.
	// logged waits until all that it had to log is logged. nil: such mailboxes are
	// opened like others.
	HandOver func(h Handover, log *maillog.Log) (conn *net.UnixConn, logged func(), err error)

	Gate       *Gate         // what is known of other sessions; nil: nothing
	LoginDelay time.Duration // least time between two logins of a user (RFC 2449 6.5); 0: none
	MaxPerUser int           // sessions of one user at a time; 0: no limit
	Undelete   time.Duration // for which deleted messages stay in the folder Trash; 0: not at all
	Ages       func() bool   // whether the age of what is there may be believed; nil: it may
	Expire     string        // days that messages are kept (RFC 2449 6.7); "": NEVER

	IdleTimeout  time.Duration // between two commands of a logged-in client; never under 10 minutes in service (RFC 1939 3)
	LoginTimeout time.Duration // from the greeting to the login
	// Haste is how long a client may take to its login now, because nearly all
	// sessions are taken; 0: there is no haste. nil: there never is.
	Haste func() time.Duration

	WriteTimeout time.Duration // for each write of at most 64 KiB
	DrainTimeout time.Duration // what an idle session still gets once ctx is done
	MaxErrors    int           // wrong commands answered before the session ends
	MaxTries     int           // failed logins before the session ends
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
