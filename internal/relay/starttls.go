package relay

import (
	"context"
	"errors"
	"fmt"

	"paperpath/internal/control"
	"paperpath/internal/smtpc"
)

// open begins a session on these terms, in TLS if the host offers it. Without TLS, or
// where it fails, the session continues in the clear (RFC 7435), unless the rule or the
// ratchet wants more; then the host fails for now. key is that of the entry for which it
// is opened, for the log.
func (r *Relay) open(ctx context.Context, t terms, key string) (*session, *failure) {
	s, f := r.connect(ctx, t)
	switch {
	case f != nil && f.unsafe != nil:
		return nil, r.unmet(f.session, key, f.unsafe)
	case f != nil:
		return nil, f
	case t.host.implicit:
		return r.keep(s, key)
	case t.rule.Level == control.TLSNone:
		return s, nil
	case !s.offers("STARTTLS"):
		if err := r.clear(t, key, errNotOffered); err != nil {
			s.smtp.Quit()
			return nil, r.unmet(s, key, err)
		}
		return s, nil
	}
	f, refused := s.startTLS(r)
	switch {
	case f != nil:
		s.smtp.Quit()
		return nil, f
	case refused == nil:
		return r.judged(s, key)
	}
	if err := r.clear(t, key, fmt.Errorf("STARTTLS: %w", refused)); err != nil || t.required {
		s.smtp.Quit()
		if err == nil {
			err = fmt.Errorf("STARTTLS: %w", refused)
		}
		return nil, r.unmet(s, key, err)
	}
	r.Log.Trouble(key, "STARTTLS with "+t.host.String()+", continuing without TLS", refused)
	return r.inClear(ctx, s, refused)
}

// clear says why a session may not be in the clear; nil: it may.
func (r *Relay) clear(t terms, key string, why error) error {
	if t.rule.Level.Demands() {
		return why
	}
	return r.held(t, key, false, why)
}

// judged is a session in which TLS has begun, if it meets the rule.
func (r *Relay) judged(s *session, key string) (*session, *failure) {
	if err := s.secured(r, s.smtp.TLS()); err != nil {
		s.smtp.Quit()
		return nil, r.unmet(s, key, err)
	}
	return r.keep(s, key)
}

// keep is a session in TLS, unless the ratchet wants more.
func (r *Relay) keep(s *session, key string) (*session, *failure) {
	if err := r.accepted(s, key); err != nil {
		s.smtp.Quit()
		return nil, r.unmet(s, key, err)
	}
	return s, nil
}

// inClear goes on without TLS: in the same session, unless the host has said that it
// ends it (RFC 5321 3.8), or simply closed the connection.
func (r *Relay) inClear(ctx context.Context, s *session, refused error) (*session, *failure) {
	if !s.smtp.Over() && s.smtp.Reset() == nil {
		s.refused = refused
		return s, nil
	}
	s.smtp.Quit()
	s, f := r.connect(ctx, s.terms)
	if f != nil {
		f.err.Text += fmt.Sprintf(" (without TLS, since STARTTLS failed: %v)", refused)
		f.silent = false // it has answered before
		return nil, f
	}
	s.refused = refused
	return s, nil
}

// startTLS switches to TLS. refused says what the host said, or what went wrong instead.
// A refusal of EHLO inside TLS is a failure: the host refuses us, and not TLS.
func (s *session) startTLS(r *Relay) (f *failure, refused error) {
	err := s.smtp.StartTLS(r.tlsConfig(s.terms))
	var e *smtpc.Error
	switch {
	case !errors.As(err, &e):
		return nil, err
	case e.Command == "STARTTLS" && e.Reply.Code != 0:
		return nil, errors.New(e.Reply.Text)
	case e.Command == "STARTTLS":
		return nil, e.Err
	case e.Reply.Code != 0:
		f = s.failed(err)
		f.elsewhere = true
		return f, nil
	}
	return nil, err
}
