// Package submit accepts messages into the spool: from standard input as
// sendmail does, and by SMTP.
package submit

import (
	"context"
	"net"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/auth"
	"paperpath/internal/check"
	"paperpath/internal/clock"
	"paperpath/internal/control"
	"paperpath/internal/dns"
	"paperpath/internal/explain"
	"paperpath/internal/full"
	"paperpath/internal/home"
	"paperpath/internal/listen"
	"paperpath/internal/maillog"
	"paperpath/internal/ratelimit"
	"paperpath/internal/route"
	"paperpath/internal/smtpd"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// Role says which clients an SMTP server serves.
type Role string

// The roles.
const (
	MX         Role = "mx"         // other hosts, for our domains alone
	Submission Role = "submission" // our users after AUTH, for any destination
	Local      Role = "local"      // users of this machine, whom the kernel names, for any destination
	LMTP       Role = "lmtp"       // other programs of ours, for our domains alone, by LMTP (RFC 2033)
)

// ParseRole returns the role of that name.
func ParseRole(s string) (Role, error) {
	switch r := Role(s); r {
	case MX, Submission, Local, LMTP:
		return r, nil
	}
	return "", status.UsageError("unknown role %q (mx, submission, local or lmtp)", s)
}

// Limits of an SMTP session (RFC 5321 4.5.3; a draft in tmp/ is never older
// than a session, which the 36 hours of dir.CleanAge rely on).
const (
	commandTime = 5 * time.Minute  // RFC 5321 4.5.3.2.7
	localTime   = 30 * time.Second // the same on run/submit, for programs of this machine
	dataTime    = 3 * time.Minute  // RFC 5321 4.5.3.2.5
	maxSession  = 24 * 60 * 60     // seconds, whatever control/limits says
	minRate     = 1000             // octets a second
)

// server is what the sessions of one process share.
type server struct {
	control  *control.Control
	log      *maillog.Log
	now      func() time.Time
	tooMany  func(c *control.Control, rate, who string, n int64) bool // home.Home.TooMany
	role     Role
	spool    *spool.Spool
	hostname string
	dns      *dns.Resolver
	guard    *auth.Guard
	full     *full.Marks
	copied   *ratelimit.Table // hidden copies that were made

	checker *check.Checker

	wait  func(context.Context, time.Duration) // clock.Wait, but for tests
	judge judgement                            // check.Session.Message, but for tests
}

// judgement checks a message.
type judgement func(*check.Session, context.Context, check.Subject, *explain.Trail) check.Verdict

func newServer(h *home.Home, role Role) (*server, error) {
	sp, err := h.Spool()
	if err != nil {
		return nil, err
	}
	host, err := h.Control.Hostname()
	if err != nil {
		return nil, err
	}
	resolver := h.DNS()
	return &server{control: h.Control, log: h.Log, now: h.Clock.Now, tooMany: h.TooMany, role: role,
		spool: sp, hostname: host, dns: resolver, guard: h.Guard(), full: h.Full(), copied: h.Copied(),
		checker: &check.Checker{Control: h.Control, Host: host, DNS: resolver, Now: h.Clock.Now, Log: h.Log,
			Buffer: sp.Buffer},
		wait: clock.Wait, judge: (*check.Session).Message}, nil
}

// Stdin speaks SMTP on standard input and output: below inetd and its kind,
// and for sendmail -bs. wrapper is the program whose environment names the
// client, "" for none.
func Stdin(ctx context.Context, h *home.Home, role Role, implicit bool, wrapper string) error {
	return service(h, role).Stdin(ctx, implicit, wrapper)
}

// Listen serves SMTP on the addresses until ctx ends.
func Listen(ctx context.Context, h *home.Home, role Role, addrs, tlsAddrs []string) error {
	return service(h, role).Listen(ctx, addrs, tlsAddrs)
}

// service is SMTP in that role.
func service(h *home.Home, role Role) *home.Service {
	s := &home.Service{Home: h, Unavailable: unavailable, Open: func() (home.Handler, error) {
		s, err := newServer(h, role)
		if err != nil {
			return nil, err
		}
		return s.serve, nil
	}}
	if role == Local {
		s.NoTLS = true     // it never leaves the machine
		s.UnixMode = 0o666 // the directories above decide who may reach it
	}
	return s
}

func unavailable(conn net.Conn, err error) {
	code, enhanced, _ := status.Reply(err)
	smtpd.Unavailable(conn, code, enhanced)
}

// serve speaks one session with the settings in force now.
func (s *server) serve(ctx context.Context, client *home.Client) error {
	if s.role == Local {
		return s.serveLocal(ctx, client)
	}
	var sess *session
	c, err := s.engine(client, func(c *smtpd.Conn) smtpd.Session {
		accepted := 0
		if sess != nil { // XCLIENT
			accepted = sess.accepted
		}
		sess.close()
		sess = s.session(ctx, c, client.Conn)
		sess.accepted = accepted
		return sess
	})
	if err != nil {
		return err
	}
	err = c.Serve(ctx)
	defer sess.close()
	if sess != nil {
		s.log.Disconnected(s.ending(err), sess.accepted, sess.client())
	}
	return nil
}

// engine makes the engine of a session. The settings are not on the stack below it.
func (s *server) engine(client *home.Client, open func(*smtpd.Conn) smtpd.Session) (*smtpd.Conn, error) {
	cfg, err := s.config(client)
	if err != nil {
		return nil, err
	}
	return smtpd.New(client.Conn, cfg, open), nil
}

// ending is why a session ended, for the event. A panic has one of its own.
func (s *server) ending(err error) string {
	if err == nil {
		return "quit"
	}
	if status.Stack(err) != "" {
		s.log.Trouble("", "session", err)
	}
	return err.Error()
}

// session is one for the client that c has now.
func (s *server) session(ctx context.Context, c *smtpd.Conn, conn net.Conn) *session {
	view := s.control.View(control.Moment)
	sess := &session{Users: auth.Users{Control: view, Guard: s.guard, Client: c.ClientIP()},
		server: s, conn: c, checks: s.checker.SessionIn(view), local: !listen.IP(conn.RemoteAddr()).IsValid()}
	sess.ours, sess.theirs = addrPort(conn.LocalAddr()), addrPort(conn.RemoteAddr())
	if name := c.ClientName(); name != "" {
		sess.ptr = known(name) // a trusted host has looked it up
	} else {
		sess.ptr = lookUp(ctx, s.log, s.dns, c.ClientIP(), listen.Host(conn))
	}
	// A wrapper speaks about its own client, not about one that XCLIENT names.
	sess.relayClient = listen.MayRelay(conn) && c.ClientIP() == clientIP(conn)
	return sess
}

func clientIP(conn net.Conn) string {
	if ip := listen.IP(conn.RemoteAddr()); ip.IsValid() {
		return ip.String()
	}
	return ""
}

func (s *server) config(client *home.Client) (smtpd.Config, error) {
	cfg := smtpd.Config{Hostname: s.hostname, TLS: client.TLS, Implicit: client.Implicit,
		LMTP: s.role == LMTP, Auth: s.role == Submission, AuthInClear: listen.Private(client.Conn),
		CommandTimeout: commandTime, DataTimeout: dataTime, MinRate: minRate,
		Haste: client.Haste, DrainTimeout: client.Drain}
	if s.role == Local && client.Listening {
		cfg.CommandTimeout = localTime
	}
	if err := s.limits(&cfg); err != nil {
		return cfg, err
	}
	if cfg.Auth {
		var err error
		if cfg.SASL, err = auth.PolicyOf(s.control); err != nil {
			s.log.Trouble("", "session", err) // the valid rows are in force
		}
	}
	fronts, err := s.control.XClientFrom()
	if err != nil {
		return cfg, err
	}
	if cfg.XClient, err = fronts.Has(listen.IP(client.Conn.RemoteAddr())); err != nil {
		return cfg, err
	}
	if s.role == Submission || s.role == Local {
		if cfg.Normalise, err = s.control.NormaliseLines(); err != nil {
			return cfg, err
		}
	}
	if s.role == MX && client.Listening {
		cfg.GreetPause, err = s.greetPause(client.Conn)
	}
	return cfg, err
}

// limits fills in the limits in control/.
func (s *server) limits(cfg *smtpd.Config) (err error) {
	if cfg.MaxSize, err = s.control.Databytes(); err != nil {
		return err
	}
	for _, l := range []struct {
		name string
		take func(n int64)
	}{
		{"recipients", func(n int64) { cfg.MaxRecipients = int(n) }},
		{"errors", func(n int64) { cfg.MaxErrors = int(n) }},
		{"junk", func(n int64) { cfg.MaxJunk = int(n) }},
		{"session", func(n int64) { cfg.SessionLimit = time.Duration(min(n, maxSession)) * time.Second }},
	} {
		n, err := s.control.Limit(l.name)
		if err != nil {
			return err
		}
		l.take(min(n, 1<<30))
	}
	return nil
}

// greetPause returns how long this client has to wait for the greeting.
func (s *server) greetPause(conn net.Conn) (time.Duration, error) {
	ip := listen.IP(conn.RemoteAddr())
	relays, err := s.control.RelayFrom()
	if err != nil || !ip.IsValid() || ip.IsLoopback() || relays.Has(ip) {
		return 0, err
	}
	return s.control.GreetPause()
}

// qualify adds the first of our domains to a recipient that has none
// (postmaster, RFC 5321 4.5.1).
func qualify(c *control.Control, a addr.Address) (addr.Address, error) {
	if a.Domain != "" {
		return a, nil
	}
	domain, err := route.FirstDomain(c)
	a.Domain = domain
	return a, err
}

// resolver returns a function that finds the addresses that one of ours leads to.
func resolver(c *control.Control) func(addr.Address) ([]addr.Address, error) {
	return func(a addr.Address) ([]addr.Address, error) { return route.Addresses(c, a) }
}
