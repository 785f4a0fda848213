package submit

import (
	"context"
	"errors"
	"net/netip"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/route"
	"paperpath/internal/smtpd"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// Rcpt adds a recipient. A local one must exist; others are for users and the
// hosts of control/relayfrom alone.
func (s *session) Rcpt(ctx context.Context, to addr.Address, p smtpd.RcptParams) error {
	to, err := qualify(s.Control, to)
	if err != nil {
		return err
	}
	targets, err := s.resolve(to)
	if err != nil {
		if status.Exit(err) == status.NoMailbox {
			s.tarpit(ctx)
		}
		return s.refuse(s.tx.from, to.String(), err)
	}
	if err := s.sure(func() error { return s.relay(to) }); err != nil {
		return s.refuse(s.tx.from, to.String(), err)
	}
	if err := s.hasRoom(targets); err != nil {
		return s.refuse(s.tx.from, to.String(), err)
	}
	r := spool.Recipient{Addr: to.String(), Params: p.Words(to)}
	takeBack, err := s.copied(r, targets)
	if err == nil {
		err = s.tooMany("recipients", 1)
	}
	if err == nil {
		err = s.checks.Rcpt(ctx, r)
	}
	if err != nil {
		takeBack()
		return s.refuse(s.tx.from, to.String(), err)
	}
	s.tx.to = append(s.tx.to, r)
	return nil
}

// hasRoom refuses a recipient whose mailbox is full, as maildeliver has found out
// (RFC 5321 4.5.3.1.10). Where an alias leads to others too, they get the message.
func (s *session) hasRoom(targets []route.Target) error {
	if len(targets) != 1 || targets[0].Kind != route.Local || s.server.full == nil {
		return nil
	}
	u := targets[0].User
	if u.Quota == (control.Quota{}) {
		return nil
	}
	err := s.server.full.Refusal(u.Address, s.server.now())
	if err != nil && !errors.As(err, new(*status.Error)) { // a list that cannot be read refuses nobody
		s.server.log.Trouble("", "read run/full", err)
		return nil
	}
	return err
}

// maxFound is how many recipients and targets a transaction remembers.
const maxFound = 20000

// resolve looks a recipient up, once per transaction: an alias may have very many
// targets.
func (s *session) resolve(to addr.Address) ([]route.Target, error) {
	if targets, ok := s.tx.found[to]; ok {
		return targets, nil
	}
	var targets []route.Target
	err := s.sure(func() (err error) {
		targets, err = route.Resolve(s.Control, s.tx.from.String(), to, nil)
		return err
	})
	if err != nil {
		return nil, err
	}
	if s.tx.kept += 1 + len(targets); s.tx.found == nil || s.tx.kept > maxFound {
		s.tx.found, s.tx.kept = map[addr.Address][]route.Target{}, 1+len(targets)
	}
	s.tx.found[to] = targets
	return targets, nil
}

// sure asks the settings, and once more if the answer is no: they may have changed since
// MAIL, and a refusal is for good.
func (s *session) sure(ask func() error) error {
	err := ask()
	if err == nil || status.IsTemporary(err) {
		return err
	}
	s.Control.Anew()
	return ask()
}

// relay refuses a recipient that is not local to a client that may not relay.
func (s *session) relay(to addr.Address) error {
	if s.login != "" {
		return nil
	}
	if _, local, err := s.Control.IsLocal(to.Domain); local || err != nil {
		return err
	}
	if ok, err := route.RelayTo(s.Control, to); ok || err != nil {
		return err
	}
	if ok, err := s.mayRelay(); ok || err != nil {
		return err
	}
	ip, _ := netip.ParseAddr(s.conn.ClientIP())
	if err := s.Control.RelayHidden(ip); err != nil {
		return err
	}
	return &status.Error{Exit: status.NotAllowed, Reply: 550, Enhanced: "5.7.1", Text: "relaying denied"}
}

// mayRelay reports whether this client may relay without a login.
func (s *session) mayRelay() (bool, error) {
	if s.relayClient {
		return true, nil
	}
	networks, err := s.Control.RelayFrom()
	// A client without an address, on a pipe or a Unix socket, is in none.
	ip, _ := netip.ParseAddr(s.conn.ClientIP())
	return err == nil && networks.Has(ip), err
}
