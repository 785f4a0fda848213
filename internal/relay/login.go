package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"

	"paperpath/internal/control"
	"paperpath/internal/explain"
	"paperpath/internal/saslc"
	"paperpath/internal/smtpc"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// A failed login is never the fault of a message: everything here is temporary.

// loginTerm returns the ID of the login for mail of sender at a host, "" if there is
// none. Only a host that control/routes names gets one: an MX record must not choose who
// sees a password.
func (r *Relay) loginTerm(h host, sender string) (string, error) {
	if !h.routed {
		return "", nil
	}
	list, err := r.Control.RelayLogins(h.name)
	if err != nil {
		return "", err
	}
	if l := control.LoginFor(list, sender); l != nil {
		return l.ID, nil
	}
	return "", nil
}

// explainLogin records who logs in at a target with mail of sender.
func (r *Relay) explainLogin(to control.RouteTarget, sender string, t *explain.Trail) {
	if to.Kind != control.ToHost && to.Kind != control.ToTLS {
		return
	}
	list, err := r.Control.RelayLogins(to.Host)
	if err != nil {
		t.Add("login", "defer: "+err.Error(), "")
		return
	}
	l := control.LoginFor(list, sender)
	if l == nil {
		return
	}
	t.Add("login", l.String(), l.Where)
	if err := r.logins.rest(terms{host: host{name: to.Host}, login: l.ID}, r.Now()); err != nil {
		t.Add("login", "defer: "+err.Error(), "")
	}
}

// loginOf returns the login of terms, which may have changed since they were made.
func (r *Relay) loginOf(t terms) (*control.RelayLogin, error) {
	list, err := r.Control.RelayLogins(t.host.name)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if list[i].ID == t.login {
			return &list[i], nil
		}
	}
	return nil, status.Ours("4.3.5", "", "control/relay-logins/"+t.host.name+" has just changed", nil)
}

// begin opens a session on these terms, and logs in if they say so.
func (r *Relay) begin(ctx context.Context, t terms, key string) (*session, *failure) {
	if t.login == "" {
		return r.open(ctx, t, key)
	}
	if err := r.logins.rest(t, r.Now()); err != nil {
		return nil, &failure{host: t.host, elsewhere: true, err: classified(err)}
	}
	l, err := r.loginOf(t)
	if err == nil && l.Certificate != "" {
		if _, err = l.Pair(); err != nil {
			err = fmt.Errorf("%s: %w", l.Where, err)
		}
	}
	if err != nil {
		return nil, &failure{host: t.host, elsewhere: true, settings: true,
			err: status.Ours("4.3.5", t.host.String()+": the login cannot be read",
				fmt.Sprintf("%s: login: %v", t.host, err), err)}
	}
	s, f := r.open(ctx, t, key)
	if f != nil {
		return nil, f
	}
	if f := r.logIn(ctx, s, l, key); f != nil {
		s.smtp.Quit()
		return nil, f
	}
	return s, nil
}

// clientCertificate returns what a handshake on these terms does if the host asks for a
// certificate. begin has found the pair in order.
func (r *Relay) clientCertificate(t terms) func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	return func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		none := new(tls.Certificate)
		if t.login == "" {
			return none, nil
		}
		l, err := r.loginOf(t)
		if err != nil || l.Certificate == "" {
			return none, err
		}
		pair, err := l.Pair()
		return &pair, err
	}
}

// logIn proves to the host who we are.
func (r *Relay) logIn(ctx context.Context, s *session, l *control.RelayLogin, key string) *failure {
	defer r.logins.turn(ctx, l)()
	if err := r.logins.rest(s.terms, r.Now()); err != nil { // another session has just been refused
		return &failure{host: s.host, elsewhere: true, err: classified(err)}
	}
	for {
		secret, cached, err := r.logins.secret(ctx, l)
		if err != nil {
			return r.loginFailed(s, l, key, "", err.Error(), nil)
		}
		x, err := s.auth(l, secret)
		if err == nil {
			r.logins.accepted(l)
			if x != nil {
				r.Log.RelayLogin(key, s.remote(), l.User, x.Mechanism)
			}
			return nil
		}
		if cached && refusedLogin(err) && !s.smtp.Over() {
			r.logins.forget(l)
			if fresh, _, ferr := r.logins.secret(ctx, l); ferr == nil && fresh != secret {
				continue // a token that has expired
			}
		}
		mechanism := ""
		if x != nil {
			mechanism = x.Mechanism
		}
		return r.loginFailed(s, l, key, mechanism, loginWords(x, err), err)
	}
}

// exposed says who else could read a password on this connection, "" if nobody: TLS with a
// verified certificate protects it, nobody is between us and this very machine, and a row
// `none` of control/tls-policy says that the way there is safe. Without a row a route with
// a login must verify, so anything else is what a row says.
func (s *session) exposed() string {
	switch {
	case s.host.addr.Addr().IsLoopback(), s.rule.Level == control.TLSNone:
		return ""
	case s.cipher == "" && s.refused != nil:
		return fmt.Sprintf("STARTTLS failed: %v", s.refused)
	case s.cipher == "":
		return "the host does not offer STARTTLS"
	case s.distrust != nil:
		return s.distrust.Error()
	}
	return ""
}

// auth runs the best mechanism. No exchange and no error mean that the certificate alone
// is the login: the host asks for no other.
func (s *session) auth(l *control.RelayLogin, secret control.Secret) (*saslc.Exchange, error) {
	offered := s.smtp.Mechanisms()
	c := saslc.Credentials{User: l.User, Secret: string(secret), Token: l.TakesToken(), Only: l.Mechanisms,
		Certificate: l.Certificate != "", Host: s.host.name, Port: s.host.addr.Port()}
	if c.Certificate && secret == "" && len(l.Mechanisms) == 0 && !offersExternal(offered) {
		s.byCertificate = true
		return nil, nil
	}
	if len(offered) == 0 {
		return nil, errors.New("the host offers no AUTH")
	}
	exposed := s.exposed()
	x, err := saslc.Begin(offered, c, saslc.Channel{TLS: s.state, Safe: exposed == ""})
	if err != nil && exposed != "" {
		err = fmt.Errorf("%w: %s", err, exposed)
	}
	if err != nil {
		return nil, err
	}
	if err := s.smtp.Auth(x.Mechanism, x.Initial, x.Next); err != nil {
		return x, err
	}
	return x, x.Finish()
}

func offersExternal(offered []string) bool {
	for _, name := range offered {
		if name == saslc.External {
			return true
		}
	}
	return false
}

// refusedLogin reports whether the host refused who we are for good (RFC 4954 6).
func refusedLogin(err error) bool {
	var e *smtpc.Error
	return errors.As(err, &e) && e.Reply.Class() == 5
}

// loginWords is what went wrong, with what the host said inside the mechanism.
func loginWords(x *saslc.Exchange, err error) string {
	if x == nil || x.Words() == "" {
		return err.Error()
	}
	return fmt.Sprintf("%v (%s)", err, x.Words())
}

// loginFailed lets the login rest and returns the failure.
func (r *Relay) loginFailed(s *session, l *control.RelayLogin, key, mechanism, why string,
	err error) *failure {
	now := r.Now()
	text := fmt.Sprintf("%s: login%s (%s): %s", s.host, as(l.User), l.Where, why)
	r.logins.refused(l, refusedLogin(err), now)
	r.Log.RelayLoginFailed(key, s.remote(), l.User, mechanism, why)
	f := &failure{host: s.host, elsewhere: true, err: status.Ours("4.7.8", s.host.String()+": the login fails", text, nil)}
	var e *smtpc.Error
	if errors.As(err, &e) {
		f.reply = visible.Shorten(e.Reply.Text, 512)
	}
	return f
}

// as names the user of a login.
func as(user string) string {
	if user == "" {
		return ""
	}
	return " as " + visible.Escape(user)
}
