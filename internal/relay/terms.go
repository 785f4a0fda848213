package relay

import (
	"net/netip"

	"paperpath/internal/tlsrule"
)

// terms are all that tells sessions apart: messages with equal terms may share a session.
// It must stay comparable. What decides a field is noted there; a field that nothing
// decides yet is zero, and means what it says.
type terms struct {
	host     host         // name, address and port, and whether control/routes names it
	rule     tlsrule.Rule // the TLS that it must have
	required bool         // REQUIRETLS: there is no session without TLS
	login    string       // the ID of a login in control/relay-logins; "": none
	source   netip.Addr   // the address of ours to connect from; zero: the system chooses
	helo     string       // our name in EHLO
	inflight int          // whole transactions that may be out without an answer; 0: none
	most     int          // recipients in a transaction; 0: as many as any host takes
}

// terms returns the terms on which m may go to a host of a destination.
func (r *Relay) terms(m *Message, d destination, h host) (terms, error) {
	t := terms{host: h, required: m.requireTLS()}
	if d.route != nil && h.routed { // never to hosts that the MX records name
		t.inflight, t.most = d.route.Inflight, d.route.Recipients
	}
	if err := r.from(&t, d.source); err != nil {
		return t, err
	}
	var err error
	if t.login, err = r.loginTerm(h, m.From.Addr); err != nil {
		return t, err
	}
	t.rule, err = r.rule(m, d, t)
	return t, err
}
