package submit

import (
	"context"
	"net/netip"
	"time"

	"paperpath/internal/listen"
	"paperpath/internal/route"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// The delay of the reply for an unknown recipient, once a session has had too
// many of them.
const (
	tarpitStep = time.Second // added each time
	tarpitMost = 10 * time.Second
)

// exempt reports whether the client is exempt from the limits by address: it is
// on this machine, or may relay.
func (s *session) exempt() bool {
	ip, err := netip.ParseAddr(s.conn.ClientIP())
	if err != nil {
		return s.local
	}
	if ip.IsLoopback() {
		return true
	}
	// Settings that cannot be read exempt nobody; relay reports the error.
	relays, err := s.mayRelay()
	return relays && err == nil
}

// tooMany counts n of what ("messages", "recipients") for the user or the client,
// and refuses more than control/rates allows.
func (s *session) tooMany(what string, n int64) error {
	limit := ""
	switch {
	case s.login != "" && s.server.tooMany(s.Control, "user-"+what, s.login, n):
		limit = "user-" + what
	case !s.exempt() && s.server.tooMany(s.Control, "client-"+what, s.origin(), n):
		limit = "client-" + what
	default:
		return nil
	}
	s.server.log.Limited(limit, s.client())
	return &status.Error{Exit: status.TempFail, Reply: 450, Enhanced: "4.7.1",
		Text: "too many " + what + " lately, try again later"}
}

// copied counts the copies for recipient r, and refuses one for which a message
// of the declared SIZE would be copied too often: temporarily if there are other
// recipients, since the client may send to this one separately (RFC 5321
// 4.5.3.1.10). takeBack undoes the count.
func (s *session) copied(r spool.Recipient, targets []route.Target) (takeBack func(), err error) {
	copies, takeBack := s.tx.copies.Add(r, targets)
	limit, err := route.CopyBytes(s.Control)
	if err == nil {
		err = route.TooLarge(copies, s.tx.size, limit)
	}
	if err != nil && !status.IsTemporary(err) && len(s.tx.to) > 0 {
		err = &status.Error{Exit: status.TempFail, Reply: 452, Enhanced: "4.5.3",
			Text: "too many recipients for a message of this size, send to this one separately"}
	}
	return takeBack, err
}

// mayCopy refuses a message of that many octets if it would be copied too often.
func (s *session) mayCopy(octets int64) error {
	limit, err := route.CopyBytes(s.Control)
	if err != nil {
		return err
	}
	return route.TooLarge(s.tx.copies.Count(), octets, limit)
}

// origin is the key under which the client is counted.
func (s *session) origin() string {
	ip, err := netip.ParseAddr(s.conn.ClientIP())
	if err != nil {
		return "unknown" // XCLIENT did not give it
	}
	return string(listen.OriginOf(ip))
}

// tarpit delays the reply to a client that guesses recipients. It ends early with
// ctx, when the server shuts down.
func (s *session) tarpit(ctx context.Context) {
	s.unknown++
	if s.unknown <= s.server.mostUnknown() || s.login != "" || s.exempt() {
		return
	}
	s.slowed++
	if s.slowed == 1 {
		s.server.log.Limited("unknown", s.client())
	}
	s.server.wait(ctx, min(time.Duration(s.slowed)*tarpitStep, tarpitMost))
}

// mostUnknown is how many unknown recipients are answered without delay.
func (s *server) mostUnknown() int {
	n, err := s.control.Limit("unknown")
	if err != nil {
		n = 10 // the next session will be refused because of it
	}
	return int(min(n, 1<<20))
}
