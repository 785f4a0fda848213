// Package submit accepts messages into the spool: from standard input as
// sendmail does, and by SMTP.
package submit

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/certs"
	"paperpath/internal/control"
	"paperpath/internal/dns"
	"paperpath/internal/listen"
	"paperpath/internal/program"
	"paperpath/internal/route"
	"paperpath/internal/smtpd"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// Role is whom an SMTP server serves.
type Role string

// The roles.
const (
	MX         Role = "mx"         // other hosts, for our domains alone
	Submission Role = "submission" // our users after AUTH, for any destination
)

// ParseRole returns the role of that name.
func ParseRole(s string) (Role, error) {
	switch r := Role(s); r {
	case MX, Submission:
		return r, nil
	}
	return "", status.UsageError("role %q is neither mx nor submission", s)
}

// Limits of an SMTP session (RFC 5321 4.5.3; a draft in tmp/ is never older
// than a session, which the 36 hours of maildir.CleanAge rely on).
const (
	commandTime = 5 * time.Minute // RFC 5321 4.5.3.2.7
	dataTime    = 3 * time.Minute // RFC 5321 4.5.3.2.5
	sessionTime = time.Hour
	minRate     = 1000 // octets a second
	maxJunk     = 100
)

// server is what the sessions of one process share.
type server struct {
	*program.Frame
	role     Role
	spool    *spool.Spool
	hostname string
	tls      *tls.Config
	dns      *dns.Resolver
}

func newServer(f *program.Frame, role Role) (*server, error) {
	sp, err := f.Spool()
	if err != nil {
		return nil, err
	}
	host, err := f.Control.Hostname()
	if err != nil {
		return nil, err
	}
	conf, err := certs.Config(f.Home, host)
	if err != nil {
		return nil, status.Temp("4.3.5", "cannot read the certificates", err)
	}
	return &server{Frame: f, role: role, spool: sp, hostname: host, tls: conf, dns: dns.New(f.Control)}, nil
}

// Stdin speaks SMTP on standard input and output: below inetd and its kind,
// and for sendmail -bs. wrapper is whose environment tells the client, "" for
// nobody's.
func Stdin(ctx context.Context, f *program.Frame, role Role, implicit bool, wrapper string) error {
	conn, err := f.Session(wrapper)
	if conn == nil {
		return err
	}
	defer conn.Close()
	var s *server
	if err == nil {
		s, err = newServer(f, role)
	}
	if err == nil && implicit && s.tls == nil {
		err = status.Temp("4.3.5", "--tls needs a certificate in control/tls", nil)
	}
	if err != nil {
		// The client's socket is where a person would see an error: say it in
		// the protocol too.
		code, enhanced, _ := status.Reply(err)
		if !implicit {
			smtpd.Unavailable(conn, code, enhanced)
		}
		return err
	}
	return s.serve(ctx, conn, implicit)
}

// Listen serves SMTP on the addresses until ctx ends.
func Listen(ctx context.Context, f *program.Frame, role Role, addrs, tlsAddrs []string) error {
	s, err := newServer(f, role)
	if err != nil {
		return err
	}
	l, err := f.Server(addrs, tlsAddrs, s.tls)
	if err != nil {
		return err
	}
	l.Handle = func(ctx context.Context, conn net.Conn, implicit bool) {
		if err := s.serve(ctx, conn, implicit); err != nil {
			f.Log.Trouble("", "session", err)
		}
	}
	l.Refuse = func(conn net.Conn) { smtpd.Unavailable(conn, 421, "4.7.0") }
	return l.Run(ctx)
}

// serve speaks one session with the settings in force now.
func (s *server) serve(ctx context.Context, conn net.Conn, implicit bool) error {
	cfg, err := s.config(conn, implicit)
	if err != nil {
		smtpd.Unavailable(conn, 421, "4.3.5")
		return err
	}
	var sess *session
	err = smtpd.Serve(ctx, conn, cfg, func(c *smtpd.Conn) smtpd.Session {
		sess = &session{server: s, conn: c, ptr: lookUp(ctx, s.dns, c.ClientIP(), listen.Host(conn)),
			relayClient: listen.MayRelay(conn)}
		return sess
	})
	if sess != nil {
		why := "quit"
		if err != nil {
			why = err.Error()
		}
		s.Log.Disconnected(why, sess.accepted, sess.client())
	}
	return nil
}

func (s *server) config(conn net.Conn, implicit bool) (smtpd.Config, error) {
	size, err := s.Control.Databytes()
	if err != nil {
		return smtpd.Config{}, err
	}
	recipients, err := s.Control.Limit("recipients", 1000)
	if err != nil {
		return smtpd.Config{}, err
	}
	errors, err := s.Control.Limit("errors", 10)
	if err != nil {
		return smtpd.Config{}, err
	}
	return smtpd.Config{Hostname: s.hostname, TLS: s.tls, Implicit: implicit, MaxSize: size,
		MaxRecipients: int(recipients), MaxErrors: int(errors), MaxJunk: maxJunk,
		Auth: s.role == Submission, AuthInClear: listen.Private(conn),
		CommandTimeout: commandTime, DataTimeout: dataTime, SessionLimit: sessionTime, MinRate: minRate}, nil
}

// qualify gives a recipient without a domain (RFC 5321 4.5.1: postmaster) the
// first of our domains.
func (s *server) qualify(a addr.Address) (addr.Address, error) { return qualify(s.Control, a) }

func qualify(c *control.Control, a addr.Address) (addr.Address, error) {
	if a.Domain != "" {
		return a, nil
	}
	domain, err := route.FirstDomain(c)
	a.Domain = domain
	return a, err
}

// resolver returns what an address of ours leads to.
func resolver(c *control.Control) func(addr.Address) ([]addr.Address, error) {
	return func(a addr.Address) ([]addr.Address, error) { return route.Addresses(c, a) }
}
