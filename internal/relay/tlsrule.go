package relay

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"

	"paperpath/internal/control"
	"paperpath/internal/explain"
	"paperpath/internal/maillog"
	"paperpath/internal/status"
	"paperpath/internal/tlsrule"
)

// Status codes of a host that does not meet the TLS rule (RFC 3463 3.8).
const (
	noTLS     = "4.7.4" // it does not offer it
	brokenTLS = "4.7.5"
)

var errNotOffered = errors.New("it does not offer STARTTLS")

// UseTLS sets a rule, in the words of control/tls-policy, for all hosts. where names it in
// events and errors.
func (r *Relay) UseTLS(where, rule string) (err error) {
	r.tls.Over, err = control.ParseTLSPolicy(where, rule)
	return err
}

// rule decides which TLS m needs with the host of t.
func (r *Relay) rule(m *Message, d destination, t terms) (tlsrule.Rule, error) {
	c := tlsrule.Case{Domain: d.domain, Host: t.host.name, Routed: t.host.routed, Required: t.required,
		Optional: m.optionalTLS(), Login: t.login != ""}
	if c.Login && !t.host.addr.Addr().IsLoopback() || t.host.implicit {
		c.Trust = d.route.Where
	}
	return r.tls.Rule(c)
}

// unmet returns the failure of a host that does not meet the TLS rule. That is never
// permanent: the host may be as it should tomorrow, or the rule be corrected.
func (r *Relay) unmet(s *session, key string, why error) *failure {
	by := s.remote()
	if s.required {
		by.Rule = "REQUIRETLS"
	}
	r.Log.Untrusted(key, by, why.Error())
	code := brokenTLS
	if errors.Is(why, errNotOffered) {
		code = noTLS
	}
	text := fmt.Sprintf("%s: %v", s.host, why)
	return &failure{host: s.host, elsewhere: true, err: status.Ours(code, text, text+"; the TLS rule is "+by.Rule, nil)}
}

// ratchet is the key of a host in the memory of what hosts could do.
func (h host) ratchet() string { return net.JoinHostPort(h.name, strconv.Itoa(int(h.addr.Port()))) }

// held says why a host may not be used with less TLS than it had; nil: it may. A memory
// that cannot be used holds nothing: it may cost secrecy, never mail.
func (r *Relay) held(t terms, key string, verify bool, why error) error {
	if !t.rule.Ratcheted() {
		return nil
	}
	hold, err := r.Ratchet.Fell(t.host.ratchet(), verify, r.Now())
	if err != nil {
		return fmt.Errorf("%w; %w", why, err)
	}
	if hold.Fault != nil {
		r.Log.Trouble(key, "remember the TLS of "+t.host.String(), hold.Fault)
	}
	if hold.Freed {
		r.Log.Forgot(t.host.ratchet(), hold.Why)
	}
	if !hold.Held {
		return nil
	}
	return fmt.Errorf("%w; %s (`mailrelay forget %s` or a row of control/tls-policy ends that)",
		why, hold.Why, t.host.ratchet())
}

// secured notes what the TLS of a session is worth. The error says how it does not meet
// the rule.
func (s *session) secured(r *Relay, st tls.ConnectionState) error {
	s.state, s.cipher = &st, maillog.TLS(&st)
	roots, err := r.tls.Roots()
	switch {
	case err == nil:
		s.distrust, err = s.rule.Check(st, roots, r.Now())
		return err
	case s.required || s.rule.Level == control.TLSVerify:
		return err
	}
	s.distrust = err // nothing depends on it
	return nil
}

// accepted takes a session in TLS, unless an earlier one with the host was better. The
// error says so.
func (r *Relay) accepted(s *session, key string) error {
	if s.distrust != nil {
		if err := r.held(s.terms, key, true, s.distrust); err != nil {
			return err
		}
	}
	if err := r.Ratchet.Worked(s.host.ratchet(), s.distrust == nil, r.Now()); err != nil {
		r.Log.Trouble(key, "remember the TLS of "+s.host.String(), err)
	}
	r.retire(s.host)
	return nil
}

// explainTLS records the TLS rule of a host, and what is remembered about it.
func (r *Relay) explainTLS(d destination, h host, from string, t *explain.Trail) error {
	at := terms{host: h}
	// A file that cannot be read has its own line; with it, too, a login was meant.
	if login, err := r.loginTerm(h, from); err != nil {
		at.login = h.name
	} else {
		at.login = login
	}
	rule, err := r.rule(&Message{}, d, at)
	if err != nil {
		return err
	}
	t.Add("tls", rule.Text(), rule.Where)
	if !rule.Ratcheted() {
		return nil
	}
	m, err := r.Ratchet.Memory(h.ratchet())
	if err != nil {
		t.Add("tls before", err.Error(), h.ratchet())
		return nil
	}
	t.Add("tls before", m.String(), h.ratchet())
	return nil
}

// Forget forgets what a host could do. It returns the host with its port, and what was
// known of it.
func (r *Relay) Forget(name string) (host, had string, err error) {
	route, err := ParseVia(name)
	if err != nil || len(route.Targets) != 1 || route.Targets[0].Host == "" {
		return name, "", status.UsageError("%q is not a HOST or HOST:PORT", name)
	}
	host = net.JoinHostPort(route.Targets[0].Host, route.Targets[0].Port)
	m, err := r.Ratchet.Memory(host)
	if err == nil {
		err = r.Ratchet.Forget(host)
	}
	if err == nil && !m.TLS.IsZero() {
		r.Log.Forgot(host, "mailrelay forget")
	}
	return host, m.String(), err
}
