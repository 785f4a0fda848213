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

// The wait before the answer for an unknown recipient, once a session has had
// too many of them.
const (
	tarpitStep = time.Second // more each time
	tarpitMost = 10 * time.Second
)

// exempt reports whether the limits by address do not hold for the client: it
// is on this machine, or may send anywhere.
func (s *session) exempt() bool {
	ip, err := netip.ParseAddr(s.conn.ClientIP())
	if err != nil {
		return s.local
	}
	if ip.IsLoopback() {
		return true
	}
	// Settings that cannot be read exempt nobody; whoever needs them says so.
	relays, err := s.mayRelay()
	return relays && err == nil
}

// tooMany counts n of what ("messages", "recipients") for the client and for
// the user, and refuses what is beyond control/rates.
func (s *session) tooMany(what string, n int64) error {
	limit := ""
	switch {
	case s.login != "" && s.server.TooMany("user-"+what, s.login, n):
		limit = "user-" + what
	case !s.exempt() && s.server.TooMany("client-"+what, s.origin(), n):
		limit = "client-" + what
	default:
		return nil
	}
	s.server.Log.Limited(limit, s.client())
	return &status.Error{Exit: status.TempFail, Reply: 450, Enhanced: "4.7.1", Text: "too many " + what + " lately, try again later"}
}

// copied notes what recipient r leads to, and refuses one for whom a message of
// the size that MAIL told would be copied too often: for now, since by itself it
// may be sent to them (RFC 5321 4.5.3.1.10), for good where it may not. takeBack
// forgets the recipient.
func (s *session) copied(r spool.Recipient, targets []route.Target) (takeBack func(), err error) {
	copies, takeBack := s.tx.copies.Add(r, targets)
	limit, err := route.CopyBytes(s.server.Control)
	if err == nil {
		err = route.TooLarge(copies, s.tx.size, limit)
	}
	if err != nil && !status.IsTemporary(err) && len(s.tx.to) > 0 {
		err = &status.Error{Exit: status.TempFail, Reply: 452, Enhanced: "4.5.3",
			Text: "too many recipients for a message of that size, send it to this one by itself"}
	}
	return takeBack, err
}

// mayCopy refuses a message of so many octets that would be copied too often.
func (s *session) mayCopy(octets int64) error {
	limit, err := route.CopyBytes(s.server.Control)
	if err != nil {
		return err
	}
	return route.TooLarge(s.tx.copies.Count(), octets, limit)
}

// origin is what the client counts as.
func (s *session) origin() string {
	ip, err := netip.ParseAddr(s.conn.ClientIP())
	if err != nil {
		return "unknown" // a front did not say
	}
	return string(listen.OriginOf(ip))
}

// tarpit keeps a client waiting that guesses recipients. It ends early with
// ctx, when the server shuts down.
func (s *session) tarpit(ctx context.Context) {
	s.unknown++
	if s.unknown <= s.server.mostUnknown() || s.login != "" || s.exempt() {
		return
	}
	s.slowed++
	if s.slowed == 1 {
		s.server.Log.Limited("unknown", s.client())
	}
	s.server.wait(ctx, min(time.Duration(s.slowed)*tarpitStep, tarpitMost))
}

// mostUnknown is how many unknown recipients are answered at once.
func (s *server) mostUnknown() int {
	n, err := s.Control.Limit("unknown")
	if err != nil {
		n = 10 // the next session is refused for it
	}
	return int(min(n, 1<<20))
}
