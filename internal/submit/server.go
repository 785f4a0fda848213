// Package submit accepts messages into the spool: from standard input as
// sendmail does, and by SMTP.
package submit

import (
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"sync/atomic"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/auth"
	"paperpath/internal/check"
	"paperpath/internal/clock"
	"paperpath/internal/control"
	"paperpath/internal/dns"
	"paperpath/internal/explain"
	"paperpath/internal/home"
	"paperpath/internal/listen"
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
	Local      Role = "local"      // users of this machine, whom the kernel names, for any destination
	LMTP       Role = "lmtp"       // other programs of ours, for our domains alone, by LMTP (RFC 2033)
)

// ParseRole returns the role of that name.
func ParseRole(s string) (Role, error) {
	switch r := Role(s); r {
	case MX, Submission, Local, LMTP:
		return r, nil
	}
	return "", status.UsageError("role %q is none of mx, submission, local and lmtp", s)
}

// Limits of an SMTP session (RFC 5321 4.5.3; a draft in tmp/ is never older
// than a session, which the 36 hours of maildir.CleanAge rely on).
const (
	commandTime = 5 * time.Minute  // RFC 5321 4.5.3.2.7
	localTime   = 30 * time.Second // the same on run/submit: what speaks there is a program of this machine
	dataTime    = 3 * time.Minute  // RFC 5321 4.5.3.2.5
	maxSession  = 24 * 60 * 60     // seconds, whatever control/limits says
	minRate     = 1000             // octets a second
)

// server is what the sessions of one process share.
type server struct {
	*home.Home
	role     Role
	spool    *spool.Spool
	hostname string
	tls      *tls.Config
	dns      *dns.Resolver
	guard    *auth.Guard

	listening bool                                 // on sockets of our own
	haste     func() time.Duration                 // for clients, since they are many; nil: none ever
	drain     time.Duration                        // for a transaction under way at the end; 0: smtpd's
	wait      func(context.Context, time.Duration) // clock.Wait, but for tests
	judge     judgement                            // check.Message, but for tests
}

// judgement is what check.Message does.
type judgement func(context.Context, *control.Control, check.Subject, *explain.Trail) check.Verdict

func newServer(h *home.Home, role Role) (*server, error) {
	sp, err := h.Spool()
	if err != nil {
		return nil, err
	}
	host, err := h.Control.Hostname()
	if err != nil {
		return nil, err
	}
	var conf *tls.Config
	if role != Local { // which never leaves the machine
		if conf, err = h.Certificates(host); err != nil {
			return nil, status.Temp("4.3.5", "cannot read the certificates", err)
		}
	}
	return &server{Home: h, role: role, spool: sp, hostname: host, tls: conf, dns: dns.New(h.Control), wait: clock.Wait,
		judge: check.Message, guard: h.Guard()}, nil
}

// Stdin speaks SMTP on standard input and output: below inetd and its kind,
// and for sendmail -bs. wrapper is whose environment tells the client, "" for
// nobody's.
func Stdin(ctx context.Context, h *home.Home, role Role, implicit bool, wrapper string) error {
	conn, err := h.Session(wrapper)
	if conn == nil {
		return err
	}
	defer conn.Close()
	return onStdin(ctx, h, role, conn, implicit, err)
}

// onStdin serves the one connection that standard input is; err is why it
// cannot be.
func onStdin(ctx context.Context, h *home.Home, role Role, conn net.Conn, implicit bool, err error) error {
	var s *server
	if err == nil {
		s, err = newServer(h, role)
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
	s.drain = stdinDrain
	if err := s.serve(ctx, conn, implicit); err != nil || ctx.Err() == nil {
		return err
	}
	return interrupted
}

// stdinDrain is how long a transaction on standard input goes on when a signal
// has come: who is there has sent the signal too.
const stdinDrain = time.Millisecond

// interrupted is the end of a session on standard input by a signal. It has no
// text: below inetd nobody reads it, and on a terminal 421 was said.
var interrupted = &status.Error{Exit: status.TempFail}

// Listen serves SMTP on the addresses until ctx ends. At SIGHUP the sessions
// that begin from then on have what is read at the start anew.
func Listen(ctx context.Context, h *home.Home, role Role, addrs, tlsAddrs []string) error {
	ports, err := h.BindPorts(addrs, tlsAddrs)
	if err != nil {
		return err
	}
	s, err := newServer(h, role)
	if err != nil {
		return err
	}
	s.listening = true
	l, err := h.Server(addrs, tlsAddrs, s.tls)
	if err != nil {
		return err
	}
	l.Ports = ports
	s.haste = l.Haste
	if role == Local {
		l.UnixMode = 0o666 // what may reach it is for the directories above to say
	}
	var current atomic.Pointer[server]
	current.Store(s)
	defer h.OnHangup(ctx, func() error {
		next, err := current.Load().renewed()
		if err == nil {
			current.Store(next)
		}
		return err
	})()
	l.Handle = func(ctx context.Context, conn net.Conn, implicit bool) {
		if err := current.Load().serve(ctx, conn, implicit); err != nil {
			h.Log.Trouble("", "session", err)
		}
	}
	l.Refuse = func(conn net.Conn) { smtpd.Unavailable(conn, 421, "4.7.0") }
	return l.Run(ctx)
}

// renewed is s with what is read at the start read anew. Where no certificate can be
// served any more, the one before is: a half written pair ends no TLS.
func (s *server) renewed() (*server, error) {
	next, err := newServer(s.Home, s.role)
	if err == nil {
		next.listening, next.haste, next.tls = true, s.haste, cmp.Or(next.tls, s.tls)
	}
	return next, err
}

// serve speaks one session with the settings in force now.
func (s *server) serve(ctx context.Context, conn net.Conn, implicit bool) error {
	cfg, err := s.config(conn, implicit)
	if err != nil {
		smtpd.Unavailable(conn, 421, "4.3.5")
		return err
	}
	if s.role == Local {
		return s.serveLocal(ctx, conn, cfg)
	}
	var sess *session
	err = smtpd.Serve(ctx, conn, cfg, func(c *smtpd.Conn) smtpd.Session {
		accepted := 0
		if sess != nil { // XCLIENT
			accepted = sess.accepted
		}
		sess = s.session(ctx, c, conn)
		sess.accepted = accepted
		return sess
	})
	if sess != nil {
		s.Log.Disconnected(s.ending(err), sess.accepted, sess.client())
	}
	return nil
}

// ending is why a session ended, for the event. A panic has one of its own.
func (s *server) ending(err error) string {
	if err == nil {
		return "quit"
	}
	if status.Stack(err) != "" {
		s.Log.Trouble("", "session", err)
	}
	return err.Error()
}

// session is one for the client that c has now.
func (s *server) session(ctx context.Context, c *smtpd.Conn, conn net.Conn) *session {
	sess := &session{Users: auth.Users{Control: s.Control, Guard: s.guard, Client: c.ClientIP()}, server: s, conn: c, local: !listen.IP(conn.RemoteAddr()).IsValid()}
	if c.ClientName() != "" {
		name := c.ClientName() // a trusted host has looked
		sess.ptr = &reverse{}
		sess.ptr.found.Store(&name)
	} else {
		sess.ptr = lookUp(ctx, s.Log, s.dns, c.ClientIP(), listen.Host(conn))
	}
	// What a wrapper says is about its own client, not about one behind that.
	sess.relayClient = listen.MayRelay(conn) && c.ClientIP() == clientIP(conn)
	return sess
}

func clientIP(conn net.Conn) string {
	if ip := listen.IP(conn.RemoteAddr()); ip.IsValid() {
		return ip.String()
	}
	return ""
}

func (s *server) config(conn net.Conn, implicit bool) (smtpd.Config, error) {
	cfg := smtpd.Config{Hostname: s.hostname, TLS: s.tls, Implicit: implicit,
		LMTP: s.role == LMTP, Auth: s.role == Submission, AuthInClear: listen.Private(conn),
		CommandTimeout: commandTime, DataTimeout: dataTime, MinRate: minRate, Haste: s.haste}
	if s.role == Local && s.listening {
		cfg.CommandTimeout = localTime
	}
	cfg.DrainTimeout = s.drain
	if err := s.limits(&cfg); err != nil {
		return cfg, err
	}
	if cfg.Auth {
		var err error
		if cfg.SASL, err = auth.PolicyOf(s.Control); err != nil {
			s.Log.Trouble("", "session", err) // what is left of the policy is in force
		}
	}
	fronts, err := s.Control.XClientFrom()
	if err != nil {
		return cfg, err
	}
	if cfg.XClient, err = fronts.Has(listen.IP(conn.RemoteAddr())); err != nil {
		return cfg, err
	}
	if s.role == Submission || s.role == Local {
		if cfg.Normalise, err = s.Control.NormaliseLines(); err != nil {
			return cfg, err
		}
	}
	if s.role == MX && s.listening {
		cfg.GreetPause, err = s.greetPause(conn)
	}
	return cfg, err
}

// limits fills in what stands in control/.
func (s *server) limits(cfg *smtpd.Config) (err error) {
	if cfg.MaxSize, err = s.Control.Databytes(); err != nil {
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
		n, err := s.Control.Limit(l.name)
		if err != nil {
			return err
		}
		l.take(min(n, 1<<30))
	}
	return nil
}

// greetPause is how long this client waits for the greeting.
func (s *server) greetPause(conn net.Conn) (time.Duration, error) {
	ip := listen.IP(conn.RemoteAddr())
	relays, err := s.Control.RelayFrom()
	if err != nil || !ip.IsValid() || ip.IsLoopback() || relays.Has(ip) {
		return 0, err
	}
	return s.Control.GreetPause()
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
