// Package pop3serve is the POP3 server as a program: listeners, the users of
// control/users, and processes for mailboxes of other owners. The protocol is
// package pop3.
package pop3serve

import (
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"path/filepath"
	"sync/atomic"
	"time"

	"paperpath/internal/auth"
	"paperpath/internal/control"
	"paperpath/internal/home"
	"paperpath/internal/listen"
	"paperpath/internal/maillog"
	"paperpath/internal/pop3"
	"paperpath/internal/status"
)

// name is the program in events, whoever starts it.
const name = "pop3d"

// server is what the sessions of one process share.
type server struct {
	control *control.Control
	log     *maillog.Log
	tls     *tls.Config // nil: there is no certificate
	gate    *pop3.Gate
	guard   *auth.Guard
	owners  *owners
	now     func() time.Time
	ages    func() bool
	haste   func() time.Duration // for clients, since they are many; nil: none ever
	drain   time.Duration        // for a session at the end; 0: the default
}

func newServer(h *home.Home) (*server, error) {
	conf, err := certificates(h)
	if err != nil {
		return nil, err
	}
	asOwner, err := launchedBy()
	if err != nil {
		return nil, err
	}
	return &server{owners: asOwner, control: h.Control, log: h.Log, tls: conf, guard: h.Guard(),
		gate: pop3.NewGate(filepath.Join(h.Dir, "run", "pop3"), h.Clock.Now), now: h.Clock.Now, ages: h.AgesCount}, nil
}

// certificates returns nil where there are none.
func certificates(h *home.Home) (*tls.Config, error) {
	host, err := h.Control.Hostname()
	if err != nil {
		return nil, err
	}
	conf, err := h.Certificates(host)
	if err != nil {
		return nil, status.Temp("4.3.5", "cannot read the certificates", err)
	}
	return conf, nil
}

// Stdin holds one session on standard input and output, which may be a socket
// from inetd or a pair of pipes. With implicit it begins with TLS. wrapper is
// whose environment tells the client, "" for nobody's.
func Stdin(ctx context.Context, h *home.Home, implicit bool, wrapper string) error {
	conn, err := h.Session(wrapper)
	if conn == nil {
		return err
	}
	defer conn.Close()
	var s *server
	if err == nil {
		s, err = newServer(h)
	}
	if err == nil {
		err = s.needTLS(implicit)
	}
	if err != nil {
		pop3.Unavailable(conn)
		h.Log.Trouble("", "session", err)
	} else {
		s.drain = time.Millisecond // who is there has sent the signal too
		err = s.serve(ctx, conn, implicit)
	}
	if err != nil || ctx.Err() != nil {
		// No text: below inetd standard error is the client's socket. The log has it.
		return &status.Error{Exit: status.TempFail}
	}
	return nil
}

// Listen serves POP3 on the addresses, or on the sockets that systemd hands
// over, until ctx ends. At SIGHUP the sessions that begin from then on have the
// certificates that are there now.
func Listen(ctx context.Context, h *home.Home, addrs, tlsAddrs []string) error {
	s, err := newServer(h)
	if err != nil {
		return err
	}
	l, err := h.Server(addrs, tlsAddrs, s.tls)
	if err != nil {
		return err
	}
	s.haste = l.Haste
	var current atomic.Pointer[server]
	current.Store(s)
	defer h.OnHangup(ctx, func() error {
		conf, err := certificates(h)
		if err == nil {
			next := *s
			next.tls = cmp.Or(conf, s.tls) // a half written pair ends no TLS
			current.Store(&next)
		}
		return err
	})()
	l.Handle = func(ctx context.Context, conn net.Conn, implicit bool) {
		current.Load().serve(ctx, conn, implicit) // the log has its error
	}
	l.Refuse = pop3.Unavailable
	ctx, cancel := s.owners.lifetime(ctx)
	defer cancel()
	return l.Run(ctx)
}

func (s *server) needTLS(implicit bool) error {
	if implicit && s.tls == nil {
		return status.Temp("4.3.5", "TLS needs a certificate in control/tls", nil)
	}
	return nil
}

// serve holds one session with the settings in force now. Its error was
// logged.
func (s *server) serve(ctx context.Context, conn net.Conn, implicit bool) error {
	cfg, err := s.config(conn, implicit)
	if err != nil {
		pop3.Unavailable(conn)
		s.log.Trouble("", "session", err)
		return err
	}
	return pop3.Serve(ctx, conn, cfg)
}

func (s *server) config(conn net.Conn, implicit bool) (pop3.Config, error) {
	client := listen.ClientName(conn)
	cfg := pop3.Config{TLS: s.tls, Implicit: implicit, ClearText: listen.Private(conn),
		Users: newAccounts(s.control, s.guard, client), Log: s.log, Client: maillog.Client{Addr: client},
		Gate: s.gate, Now: s.now, Ages: s.ages, Haste: s.haste}
	cfg.DrainTimeout = s.drain
	if s.owners != nil {
		cfg.HandOver = s.owners.handOver
	}
	return cfg, s.settings(&cfg)
}

// settings fills in what stands in control/.
func (s *server) settings(cfg *pop3.Config) (err error) {
	if cfg.Hostname, err = s.control.Hostname(); err != nil {
		return err
	}
	wrong, err := s.control.Limit("errors")
	if err != nil {
		return err
	}
	cfg.MaxErrors = int(max(wrong, pop3.DefaultMaxErrors))
	if cfg.MaxPerUser, err = s.control.Concurrency("user"); err != nil {
		return err
	}
	if cfg.Undelete, err = s.control.Undelete(); err != nil {
		return err
	}
	if cfg.LoginDelay, err = s.control.LoginDelay(); err != nil {
		return err
	}
	if cfg.Expire, err = s.control.Expire(); err != nil {
		return err
	}
	if cfg.SASL, err = auth.PolicyOf(s.control); err != nil {
		s.log.Trouble("", "session", err) // what is left of the policy is in force
	}
	return nil
}
