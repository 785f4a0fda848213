// Package relay sends mail to other hosts by SMTP.
//
// Package smtpc speaks the protocol; relay decides where a message goes, and what the
// result of a session means for a recipient.
//
// An attempt has one of three results: the host accepted the message (2xx after the end
// of the text), it failed permanently (5xx to a correct request, a name that the DNS says
// does not exist), or anything else, which is tried again.
package relay

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/dns"
	"paperpath/internal/maillog"
	"paperpath/internal/settle"
	"paperpath/internal/spool"
	"paperpath/internal/tlsrule"
)

// Relay sends messages, and is the stage that works relay/.
type Relay struct {
	Control *control.Control
	DNS     Resolver
	Log     *maillog.Log
	Now     func() time.Time
	Settle  func(*spool.Entry, []settle.Result) spool.Outcome
	Via     *control.Route // where all mail goes; nil: control/routes and the DNS decide
	Ratchet *tlsrule.Ratchet
	Times   Times
	Dial    func(ctx context.Context, network, address string) (net.Conn, error)

	dialFrom func(ctx context.Context, source netip.Addr, address string) (net.Conn, error)

	port   uint16 // of SMTP
	local  func() ([]net.Addr, error)
	reach  reachability
	known  *hosts
	pool   *pool
	near   gate
	logins *logins
	tls    *tlsrule.Decider
}

// New returns a relay with the timeouts of RFC 5321. settle decides what the results of
// an entry mean; it may be nil where only Send is used.
func New(c *control.Control, log *maillog.Log, now func() time.Time,
	settle func(*spool.Entry, []settle.Result) spool.Outcome) *Relay {
	r := &Relay{Control: c, DNS: dns.New(c), Log: log, Now: now, Settle: settle,
		logins: newLogins(c.Home()), Times: DefaultTimes(),
		Dial: new(net.Dialer).DialContext, dialFrom: dialFrom, port: 25, local: new(interfaces).addrs,
		tls: &tlsrule.Decider{Control: c}, Ratchet: tlsrule.OpenRatchet(c)}
	r.known = openHosts(r)
	r.pool = newPool(r)
	return r
}

// Close ends the sessions that are kept. Nothing may be sent any more.
func (r *Relay) Close() { r.pool.end() }

// Handle is the stage: it sends an entry to all pending recipients. Those of a
// transaction are marked together as soon as a host has accepted it.
func (r *Relay) Handle(ctx context.Context, e *spool.Entry) spool.Outcome {
	var mu sync.Mutex
	m := &Message{Key: string(e.Key), With: e.With, From: e.Envelope.From, To: e.Envelope.To, Content: loaded(e.Content()), Results: e.WithResults(),
		Ours: e.Trusted() || e.Relay || e.With == spool.WithBounce}
	var err error
	if m.Asked, err = e.Asked(); err != nil {
		r.Log.Trouble(m.Key, "see whether a person asked for an attempt", err) // assume that nobody did
	}
	m.Done = func(taken []int, by maillog.Remote, reply string) {
		mu.Lock()
		defer mu.Unlock()
		for _, i := range taken {
			r.Log.Relayed(m.Key, m.To[i].Addr, by, reply)
		}
		if err := e.Mark(taken...); err != nil {
			r.Log.Trouble(m.Key, "mark", err) // the outcome marks them again
		}
	}
	return r.Settle(e, r.Send(ctx, m, e.Pending()))
}

// Lane is the destination of an entry's first pending recipient.
func (r *Relay) Lane(e *spool.Entry) string {
	pending := e.Pending()
	if len(pending) == 0 {
		return ""
	}
	d, err := r.destination(e.Envelope.From.Addr, e.Envelope.To[pending[0]].Addr, nil)
	if err != nil {
		return ""
	}
	return d.name
}

// Attempts there may be at a time: more than sessions, so that each finds its next message
// waiting when it ends one. A destination that has not answered has as many as its two
// first sessions need to begin.
const (
	perSession = 6
	perUnknown = 4
)

// Runner returns the runner of relay/. sessions is how many there may be in all, and
// connecting how many may wait for a host besides.
func (r *Relay) Runner(sessions, connecting func() int) *spool.Runner {
	return &spool.Runner{Handle: r.Handle, Lane: r.Lane, PerLane: r.perLane, Known: r.isKnown,
		Workers:  func() int { return perSession * sessions() },
		MaxApart: connecting, Patience: slowReply, Close: r.Close}
}

// isKnown reports whether a destination has answered within the hour, to any process.
func (r *Relay) isKnown(lane string) bool {
	return r.reach.isAnswering(lane, func() bool { return r.known.isKnown(lane, r.Now()) })
}

// perLane returns how many attempts there may be at a time in a lane.
func (r *Relay) perLane(lane string) int {
	if lane == "" {
		return 0
	}
	if !r.isKnown(lane) {
		return perUnknown
	}
	return r.pool.attempts(lane)
}
