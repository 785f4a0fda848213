package relay

import (
	"context"
	"errors"
	"fmt"

	"paperpath/internal/smtpc"
	"paperpath/internal/status"
)

// open begins a session on these terms, in TLS if the host offers it. If TLS then fails,
// the session continues without it, unless the terms require TLS (RFC 7435); then the
// host fails for now. key is that of the entry for which it is opened, for the log.
func (r *Relay) open(ctx context.Context, t terms, key string) (*session, *failure) {
	s, f := r.connect(ctx, t)
	if f != nil || t.host.implicit || !s.offers("STARTTLS") {
		return s, f
	}
	refused := s.startTLS(r)
	if refused == nil {
		return s, nil
	}
	if t.required {
		s.smtp.Quit()
		text := fmt.Sprintf("%s: STARTTLS: %v, and the message requires TLS (REQUIRETLS)", t.host, refused)
		return nil, &failure{host: t.host, elsewhere: true, err: status.Temp("4.7.5", text, nil)}
	}
	r.Log.Trouble(key, "STARTTLS with "+t.host.String()+", continuing without TLS", refused)
	// The host may have said that it ends the session (RFC 5321 3.8), or simply
	// have closed the connection.
	if !s.smtp.Over() && s.smtp.Reset() == nil {
		s.refused = refused
		return s, nil
	}
	s.smtp.Quit()
	if s, f = r.connect(ctx, t); f != nil {
		f.err.Text += fmt.Sprintf(" (without TLS, since STARTTLS failed: %v)", refused)
		f.silent = false // it has answered before
		return nil, f
	}
	s.refused = refused
	return s, nil
}

// startTLS switches to TLS. The error says what the host said, or what went wrong
// instead.
func (s *session) startTLS(r *Relay) error {
	err := s.smtp.StartTLS(r.tlsConfig(s.terms))
	var e *smtpc.Error
	switch {
	case errors.As(err, &e) && e.Command == "STARTTLS" && e.Reply.Code != 0:
		return errors.New(e.Reply.Text)
	case errors.As(err, &e) && e.Command == "STARTTLS":
		return e.Err
	case err != nil:
		return err
	}
	s.secured(r, s.smtp.TLS())
	return nil
}
