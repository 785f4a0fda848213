// Package pop3serve is the POP3 server as a program: listeners, the users of
// control/users, and processes for mailboxes of other owners. The protocol is
// package pop3.
package pop3serve

import (
	"context"
	"net"
	"path/filepath"
	"time"

	"paperpath/internal/auth"
	"paperpath/internal/control"
	"paperpath/internal/full"
	"paperpath/internal/home"
	"paperpath/internal/listen"
	"paperpath/internal/maillog"
	"paperpath/internal/pop3"
)

// name is the program in events, whoever starts it.
const name = "pop3d"

// server is what the sessions of one process share.
type server struct {
	control *control.Control
	log     *maillog.Log
	gate    *pop3.Gate
	guard   *auth.Guard
	full    *full.Marks
	owners  *owners // nil: no launcher has started this process
	now     func() time.Time
	ages    func() bool
}

func newServer(h *home.Home) (*server, error) {
	asOwner, err := launchedBy()
	if err != nil {
		return nil, err
	}
	return &server{control: h.Control, log: h.Log, guard: h.Guard(), full: h.Full(), owners: asOwner,
		gate: pop3.NewGate(filepath.Join(h.Dir, "run", "pop3"), h.Clock.Now),
		now:  h.Clock.Now, ages: h.AgesCount}, nil
}

// Stdin speaks POP3 on standard input and output, which may be a socket of inetd
// or a pair of pipes. With implicit it begins with TLS. wrapper is the program
// whose environment names the client, "" for none.
func Stdin(ctx context.Context, h *home.Home, implicit bool, wrapper string) error {
	s, err := newServer(h)
	return service(h, s, err).Stdin(ctx, implicit, wrapper)
}

// Listen serves POP3 on the addresses, or on the sockets of systemd, until ctx ends.
func Listen(ctx context.Context, h *home.Home, addrs, tlsAddrs []string) error {
	s, err := newServer(h)
	if err != nil {
		return err
	}
	ctx, cancel := s.owners.lifetime(ctx)
	defer cancel()
	return service(h, s, nil).Listen(ctx, addrs, tlsAddrs)
}

// service is POP3 as s serves it; err is why it cannot. The gate stays the same when
// the settings are read again at SIGHUP: it counts the sessions.
func service(h *home.Home, s *server, err error) *home.Service {
	return &home.Service{Home: h,
		Open:        func() (home.Handler, error) { return s.serve, err },
		Unavailable: func(conn net.Conn, _ error) { pop3.Unavailable(conn) }}
}

// serve serves one session with the settings in force now.
func (s *server) serve(ctx context.Context, client *home.Client) error {
	cfg, err := s.config(client)
	if err != nil {
		return err
	}
	err = pop3.Serve(ctx, client.Conn, cfg)
	if client.Listening {
		return nil // the log has the error already
	}
	return err
}

func (s *server) config(client *home.Client) (pop3.Config, error) {
	name := listen.ClientName(client.Conn)
	cfg := pop3.Config{TLS: client.TLS, Implicit: client.Implicit, ClearText: listen.Private(client.Conn),
		Users: newAccounts(s.control, s.guard, name), Log: s.log, Client: maillog.Client{Addr: name},
		Gate: s.gate, Now: s.now, Ages: s.ages, Haste: client.Haste, DrainTimeout: client.Drain}
	cfg.RoomMade = func(login string) {
		if err := s.full.Lift(login, s.now()); err != nil {
			s.log.Trouble("", "lift the mark of a full mailbox", err)
		}
	}
	if s.owners != nil {
		cfg.HandOver = s.owners.handOver
	}
	return cfg, s.settings(&cfg)
}

// settings fills in the settings of control/.
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
		s.log.Trouble("", "session", err) // the rest of the policy is in force
	}
	return nil
}
